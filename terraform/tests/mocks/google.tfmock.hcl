# What the tests are told in place of what Google would compute.

override_resource {
  target = google_cloudfunctions2_function.this["import"]
  # Else a plan alone could not tell whether they are active.
  override_during = plan
  values = {
    state            = "ACTIVE"
    deletion_policy  = "DELETE"
    environment      = "GEN_2"
    id               = "import"
    update_time      = "2026-01-01T00:00:00Z"
    url              = "https://import.cloudfunctions.net"
    effective_labels = {}
    terraform_labels = {}
    build_config = {
      build = "build"
    }
    service_config = {
      direct_vpc_egress = ""
      gcf_uri           = ""
      uri               = "https://import.run.app"
      service           = "projects/test-project/locations/us-central1/services/mixpanel-import-object"
    }
  }
}

override_resource {
  target = google_cloudfunctions2_function.this["drain"]
  # Else a plan alone could not tell whether they are active.
  override_during = plan
  values = {
    state            = "ACTIVE"
    deletion_policy  = "DELETE"
    environment      = "GEN_2"
    id               = "drain"
    update_time      = "2026-01-01T00:00:00Z"
    url              = "https://drain.cloudfunctions.net"
    effective_labels = {}
    terraform_labels = {}
    build_config = {
      build = "build"
    }
    service_config = {
      direct_vpc_egress = ""
      gcf_uri           = ""
      uri               = "https://drain.run.app"
      service           = "projects/test-project/locations/us-central1/services/mixpanel-drain-subscription"
    }
  }
}

override_resource {
  target = google_service_account.this["import"]
  values = { member = "serviceAccount:import", email = "import", id = "projects/test-project/serviceAccounts/import" }
}

override_resource {
  target = google_service_account.this["drain"]
  values = { member = "serviceAccount:drain", email = "drain", id = "projects/test-project/serviceAccounts/drain" }
}

override_resource {
  target = google_service_account.this["push"]
  values = { member = "serviceAccount:push", email = "push", id = "projects/test-project/serviceAccounts/push" }
}

override_resource {
  target = google_service_account.this["scheduler"]
  values = { member = "serviceAccount:scheduler", email = "scheduler", id = "projects/test-project/serviceAccounts/scheduler" }
}

override_resource {
  target = google_service_account.this["build"]
  values = { member = "serviceAccount:build", email = "build", id = "projects/test-project/serviceAccounts/build" }
}

override_resource {
  target = google_pubsub_topic.object
  values = { id = "projects/test-project/topics/mixpanel-objects" }
}

override_resource {
  target = google_pubsub_topic.event
  values = { id = "projects/test-project/topics/mixpanel-events" }
}

override_resource {
  target = google_pubsub_subscription.event
  values = { id = "projects/test-project/subscriptions/mixpanel-events" }
}

override_resource {
  target = google_secret_manager_secret_version.mixpanel
  values = { version = "7" }
}

override_resource {
  target = google_artifact_registry_repository.functions
  values = { id = "projects/test-project/locations/us-central1/repositories/mixpanel-functions", name = "mixpanel-functions" }
}

override_resource {
  target = google_monitoring_dashboard.this
  values = { id = "projects/1/dashboards/dashboard-id" }
}

override_data {
  target = data.google_storage_project_service_account.import
  values = { member = "serviceAccount:storage-agent" }
}

override_data {
  target = data.google_project.this
  values = { number = "123456789012" }
}

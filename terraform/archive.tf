# What is built in the cloud: the functions' sources, one's own transform, and of the packages what these need.

locals {
  root    = "${path.module}/.."
  package = jsondecode(file("${local.root}/package.json"))
  lock    = jsondecode(file("${local.root}/package-lock.json"))

  # The compiler and the types: of what a developer has besides the dependencies, this alone is needed by the build.
  build_packages = ["typescript", "@types/node"]
  slim_package = merge(
    { for key in ["name", "version", "private", "type", "main", "exports", "engines", "dependencies"] : key => local.package[key] },
    {
      allowScripts    = { for name, allowed in local.package.allowScripts : name => allowed if !allowed }
      scripts         = { gcp-build = local.package.scripts.gcp-build }
      devDependencies = { for name in local.build_packages : name => local.package.devDependencies[name] }
    },
  )
  slim_lock = merge(local.lock, {
    packages = merge(
      {
        for path, entry in local.lock.packages : path => entry
        if path != "" && (!try(entry.dev, false) || can(regex("^node_modules/(typescript|@typescript/.+|@types/node|undici-types)$", path)))
      },
      { "" = { for key in ["name", "version", "engines", "dependencies", "devDependencies"] : key => local.slim_package[key] } },
    )
  })

  # One's own transform lies in a folder beside its files, so that it imports them as it does where it was written.
  own_transform = var.transform == null ? {} : merge(
    { "functions/own/${basename(var.transform)}" = var.transform },
    { for name, path in var.transform_files : "functions/own/${name}" => path },
  )
  sources = merge(
    {
      for path in concat(["tsconfig.json"], tolist(fileset(local.root, "functions/**/*.{ts,mts}"))) :
      path => "${local.root}/${path}"
    },
    local.own_transform,
  )
  # The hash of the archive must not depend on how a checkout ends its lines.
  archived = merge(
    { for path, file in local.sources : path => replace(file(file), "\r\n", "\n") },
    {
      "package.json"      = jsonencode(local.slim_package)
      "package-lock.json" = jsonencode(local.slim_lock)
    },
    var.transform == null ? {} : {
      "functions/transform.ts" = "export { default } from './own/${basename(var.transform)}';\n"
    },
  )
}

locals {
  # What the modules of one's own import, by file. Nothing else is installed by the build.
  own_imports = {
    for path, file in local.own_transform : path => flatten([
      for pattern in [
        "(?m)^\\s*(?:import|export|\\})[^'\";]*?\\bfrom\\s*['\"]([^'\"\\n]+)['\"]",
        "(?m)^\\s*import\\s*['\"]([^'\"\\n]+)['\"]",
        "\\b(?:import|require)\\(\\s*['\"]([^'\"\\n]+)['\"]",
      ] : regexall(pattern, local.archived[path])
    ])
  }
  foreign_imports = flatten([
    for path, imports in local.own_imports : [
      for name in imports : "${name} in ${trimprefix(path, "functions/own/")}"
      if !(
        startswith(name, "node:") || name == "mixpanel-cloud-ingestion/transform"
        || (can(regex("^\\.\\.?/", name)) && contains(keys(local.own_transform), trimprefix(abspath("/${dirname(path)}/${name}"), "/")))
      )
    ]
  ])
}

data "archive_file" "source" {
  type             = "zip"
  output_path      = "${path.root}/.terraform/${var.project_id}-${var.name}-source.zip"
  output_file_mode = "0644"

  dynamic "source" {
    for_each = local.archived

    content {
      filename = source.key
      content  = source.value
    }
  }
}

# An object of the same name would not be deployed again: the name follows from the content.
resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "source-${data.archive_file.source.output_sha256}.zip"
  source = data.archive_file.source.output_path
}

resource "terraform_data" "second" {
  provisioner "local-exec" {
    command = "sleep 1.1"
  }
}

# The hash that the tests find in the name of the source.

mock_data "archive_file" {
  defaults = { output_sha256 = "0123456789abcdef" }
}

# The Amazon side for those who use Terraform there too: a stack of the template beside this folder.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6"
    }
  }
}

variable "region" {
  description = "Region of the bucket."
  type        = string
}

variable "bucket" {
  description = "The bucket whose new objects are imported."
  type        = string
}

variable "prefix" {
  description = "Only objects whose keys begin so are imported; all by default."
  type        = string
  default     = ""
}

variable "transfer_subject_id" {
  description = "What `terraform output s3_transfer_subject_id` prints on Google's side."
  type        = string
}

provider "aws" {
  region = var.region
}

resource "aws_cloudformation_stack" "source" {
  name          = "mixpanel-s3-source"
  template_body = file("${path.module}/../s3-source.yaml")
  capabilities  = ["CAPABILITY_IAM"]

  parameters = {
    BucketName        = var.bucket
    Prefix            = var.prefix
    TransferSubjectId = var.transfer_subject_id
    # If Terraform manages this bucket's notifications, use "no" and add a queue block for QueueArn to your
    # aws_s3_bucket_notification: that resource removes whatever it does not name.
    AddNotification = "yes"
  }
}

output "source" {
  description = "An entry for s3_sources on Google's side."
  value = {
    bucket    = var.bucket
    role_arn  = aws_cloudformation_stack.source.outputs["RoleArn"]
    queue_arn = aws_cloudformation_stack.source.outputs["QueueArn"]
    prefixes  = compact([var.prefix])
  }
}

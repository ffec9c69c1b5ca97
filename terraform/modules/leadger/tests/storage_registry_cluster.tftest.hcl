mock_provider "aws" {
  override_during = plan
  source          = "./tests/mocks"
}

run "report_files_are_versioned_private_and_age" {
  command = plan

  module {
    source = "../storage"
  }

  variables {
    bucket = "leadger-test-reports"
  }

  assert {
    condition     = !aws_s3_bucket.reports.force_destroy
    error_message = "A bucket with files in it is not deleted."
  }

  assert {
    condition     = aws_s3_bucket_versioning.reports.versioning_configuration[0].status == "Enabled"
    error_message = "Versioned."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.reports.block_public_acls,
      aws_s3_bucket_public_access_block.reports.block_public_policy,
      aws_s3_bucket_public_access_block.reports.ignore_public_acls,
      aws_s3_bucket_public_access_block.reports.restrict_public_buckets,
    ])
    error_message = "Private in all four ways."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.reports.rule[0].noncurrent_version_expiration[0].noncurrent_days == 90
    error_message = "Old versions go after 90 days."
  }

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.reports.rule[0].expiration) == 0
    error_message = "Current files never expire."
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.reports.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "Plain HTTP is denied."
  }
}

run "images_are_scanned_and_never_overwritten" {
  command = plan

  module {
    source = "../registry"
  }

  variables {
    name = "leadger-test"
  }

  assert {
    condition     = aws_ecr_repository.main.image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.main.image_scanning_configuration[0].scan_on_push
    error_message = "A tag is pushed once, and scanned."
  }

  assert {
    condition     = !aws_ecr_repository.main.force_delete
    error_message = "A repository with images in it is not deleted."
  }

  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.main.policy).rules[0].selection.countNumber == 30
    error_message = "Thirty images are kept."
  }
}

run "the_cluster_counts_its_tasks" {
  command = plan

  module {
    source = "../cluster"
  }

  variables {
    name = "leadger-test"
  }

  assert {
    condition     = one(aws_ecs_cluster.main.setting).name == "containerInsights" && one(aws_ecs_cluster.main.setting).value == "enabled"
    error_message = "The alarm on beat needs the number of running tasks."
  }
}

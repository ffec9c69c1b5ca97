# Mail: off unless a server is named; only background tasks know its secret and reach its port.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name      = "leadger-test"
  image_tag = "1.2.3"
  network   = { zones = ["eu-central-1a", "eu-central-1b"] }
}

run "off" {
  command = plan

  assert {
    condition     = length(local.mail) == 0 && length(local.mail_secrets) == 0
    error_message = "Nobody is told of a mail server."
  }

  assert {
    condition     = local.reminders.LEADGER_REMINDER_DAYS == "3,14,30"
    error_message = "Partners are reminded three times."
  }
}

run "by_a_server" {
  command = plan

  variables {
    mail          = { from = "Bills <bills@example.com>", smtp_url_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:smtp" }
    reminder_days = []
  }

  assert {
    condition = (
      local.mail.LEADGER_MAIL_FROM == "Bills <bills@example.com>"
      && local.mail_secrets.SMTP_URL == "arn:aws:secretsmanager:eu-central-1:123456789012:secret:smtp"
      && local.reminders.LEADGER_REMINDER_DAYS == ""
    )
    error_message = "Its URL comes from the secret, and nobody is reminded."
  }
}

run "port_25_is_closed" {
  command = plan

  variables {
    mail = { from = "bills@example.com", smtp_url_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:smtp", port = 25 }
  }

  expect_failures = [var.mail]
}

# Mail leaves the worker for background tasks. Its server is named by a secret, because the password stands in the URL;
# Terraform never reads it, so the port is told beside it. Without a server mail is lost with the task that wrote it.
locals {
  mail = var.mail == null ? {} : {
    LEADGER_MAIL_FROM = var.mail.from
  }
  reminders = { LEADGER_REMINDER_DAYS = join(",", var.reminder_days) }

  mail_secrets     = var.mail == null ? {} : { SMTP_URL = var.mail.smtp_url_secret_arn }
  mail_secret_arns = values(local.mail_secrets)
}

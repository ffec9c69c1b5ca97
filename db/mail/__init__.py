"""Mail: by SMTP, or as files in the outbox."""

"""The control: the same billing as anybody would first write it, one Celery task and one ORM session per lead."""

"""What Flower runs for its configuration: its log is written as ours is, not as Tornado would."""

from db.logs import configure_logging
from db.settings import Settings

configure_logging(Settings().log_level)
logging = "none"

"""Row keys (R1) as UUIDs of the class that the driver itself reads and writes."""

import asyncpg

from billing.identity import RowKeys

ROW_KEYS = RowKeys(asyncpg.pgproto.pgproto.UUID)

partner_uuid = ROW_KEYS.partner
product_uuid = ROW_KEYS.product
customer_uuid = ROW_KEYS.customer
lead_uuid = ROW_KEYS.lead
action_uuid = ROW_KEYS.action
document_uuid = ROW_KEYS.document
duplicate_key = ROW_KEYS.duplicate_key
uuid_from_text = ROW_KEYS.from_text

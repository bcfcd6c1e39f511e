-- Orders are counted by the address that they are to be paid to, too.
ALTER TABLE orders ADD COLUMN address_key BLOB CHECK (length(address_key) = 16);
CREATE INDEX orders_address ON orders (address_key, created_at) WHERE address_key IS NOT NULL;
DROP INDEX orders_customer;
CREATE INDEX orders_customer ON orders (customer_key, created_at) WHERE customer_key IS NOT NULL;

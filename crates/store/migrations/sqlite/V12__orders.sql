-- Orders: what an application expects to be paid, and where that stands. (`order` is a word of SQL.)
-- What names a person or says what it is for is sealed; looked up by keyed hashes. Amounts are minor units,
-- sixteen bytes with the greatest first, so that they compare as numbers. States: see `OrderState`.
CREATE TABLE orders (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    -- Keyed hashes of the application's reference, and of the customer.
    reference_key BLOB NOT NULL UNIQUE CHECK (length(reference_key) = 16),
    customer_key BLOB CHECK (length(customer_key) = 16),
    provider TEXT,
    source TEXT,
    unit TEXT NOT NULL,
    amount BLOB NOT NULL CHECK (length(amount) = 16),
    tolerance BLOB NOT NULL CHECK (length(tolerance) = 16),
    expires_at INTEGER,
    cancelled_at INTEGER,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 12),
    paid BLOB NOT NULL CHECK (length(paid) = 16),
    pending BLOB NOT NULL CHECK (length(pending) = 16),
    refunded BLOB NOT NULL CHECK (length(refunded) = 16),
    -- Everything that is known of its payments.
    facts BLOB NOT NULL,
    -- Grows with every state that is told, and with every change at all.
    version INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    sealed_key BLOB NOT NULL CHECK (length(sealed_key) = 16),
    sealed BLOB NOT NULL,
    CHECK (refunded <= paid)
) STRICT;
CREATE INDEX orders_due ON orders (expires_at) WHERE expires_at IS NOT NULL AND state IN (0, 1, 11);
CREATE INDEX orders_customer ON orders (customer_key) WHERE customer_key IS NOT NULL;

-- A payment serves one order, for good.
CREATE TABLE payment (
    key BLOB PRIMARY KEY CHECK (length(key) = 16),
    order_id BLOB NOT NULL CHECK (length(order_id) = 16)
) STRICT, WITHOUT ROWID;

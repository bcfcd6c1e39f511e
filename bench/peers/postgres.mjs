// Keeps events in PostgreSQL, over a pool of the usual ten connections.
import pg from 'pg';

export async function open(socket) {
  const pool = new pg.Pool({ host: socket, user: 'postgres', database: 'postgres' });
  await pool.query('CREATE TABLE IF NOT EXISTS event (id text PRIMARY KEY, body bytea NOT NULL)');
  const text = 'INSERT INTO event VALUES ($1, $2) ON CONFLICT DO NOTHING';
  return { keep: (id, body) => pool.query({ name: 'keep', text, values: [id, body] }) };
}

// Keeps events in SQLite: WAL, an fsync at each commit.
import Database from 'better-sqlite3';

export function open(file) {
  const database = new Database(file);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.exec('CREATE TABLE IF NOT EXISTS event (id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT');
  const insert = database.prepare('INSERT INTO event VALUES (?, ?) ON CONFLICT DO NOTHING');
  return { keep: (id, body) => insert.run(id, body) };
}

"""Verifies an export of the audit log, written from docs/audit.md to check the gateway's own:
python verify.py VERIFIER_KEY[,VERIFIER_KEY...] EXPORT [WITNESS]  prints the verdict as JSON."""
import base64, json, re, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from functools import reduce
from hashlib import sha256

HEADER = ["audit_export", "from", "frontier", "head"]
ENTRY = "v index time action outcome actor resource changes request address agent note".split()
LEAF_MAX, NOTE_MAX, LINE_MAX, COUNT_MAX = 16384, 131072, 262144, 1 << 53
NOTES = re.compile("\n*((?:[^\n]+\n)+\n(?:— [^\n]*\n?)*|[^\n](?s:.*))".encode())


def refuse(condition, kind, line, index, until):
    if condition:
        print(json.dumps({"verdict": kind, "line": line, "index": index, "until": until}))
        sys.exit(1)


def must(condition, reason="malformed"):
    if not condition:
        raise ValueError(reason)


def unbase64(encoded):
    data = base64.b64decode(encoded, validate=True)
    must(base64.b64encode(data).decode() == encoded)
    return data


def canonical(line, fields, holds, *otherwise):
    """The values of a JSON object with these fields, if the bytes are the one way to write it."""
    try:
        value = json.loads(line.decode())
        must(type(value) is dict and list(value) == fields and holds(*value.values()))
        must(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() == line)
        return value.values()
    except (ValueError, TypeError, RecursionError):
        refuse(True, *otherwise)


def is_header(v, size, hashes, head):
    must(v == 1 and type(v) is type(size) is int and 0 <= size <= COUNT_MAX and type(head) is str)
    return len(hashes) == size.bit_count() and all(re.fullmatch("[0-9a-f]{64}", h) for h in hashes)


def checkpoint(note, keys, kind, line, at):
    """The size and the root in a note that the log's key has signed, and the note's line."""
    try:
        body, _, lines = note.decode().rpartition("\n\n")
        body, lines, signer = body + "\n", lines.split("\n"), None
        must(len(note) <= NOTE_MAX and not re.search("[\0-\x09\x0b-\x1f]", note.decode()))
        must(lines.pop() == "" and 1 <= len(lines) <= 32)
        for place, text in enumerate(lines):
            dash, name, signature = text.split(" ")
            must(dash == "—" and re.fullmatch(r"[^\s+\x7f-\x9f]+", name))
            lines[place] = name, unbase64(signature)
            must(len(lines[place][1]) > 4 and len(name.encode()) <= 256)
        for name, signature in lines:
            for key in [key for key in keys if key[:2] == (name, signature[:4])]:
                key[2].verify(signature[4:], body.encode())
                signer = signer or name
        must(signer, "unsigned")
        origin, size, root, *extensions = body[:-1].split("\n")
        must(origin and re.fullmatch("0|[1-9][0-9]{0,15}", size) and int(size) <= COUNT_MAX)
        must(len(unbase64(root)) == 32 and len(extensions) <= 16 and all(extensions))
        must(origin == signer, "origin")
        return int(size), unbase64(root), line
    except (ValueError, InvalidSignature) as error:
        reason = str(error) or "signature"
    known = reason if reason in ("unsigned", "signature", "origin") else "malformed"
    refuse(True, f"{kind}_{known}", line, at, at)


def verify(export, keys, witness):
    """Reads an export line by line and builds the tree anew. The first fault ends it."""
    seen, line, checkpoints, text = {}, 1, 0, export.readline(LINE_MAX + 1)
    for note in NOTES.finditer(witness):
        one = checkpoint(note[1], keys, "witness", witness.count(b"\n", 0, note.start(1)) + 1, 0)
        seen.setdefault(one[0], []).append(one)
    refuse(not text.endswith(b"\n"), "malformed", 1, 0, 0)
    _, size, hashes, head = canonical(text[:-1], HEADER, is_header, "malformed", 1, 0, 0)
    counts = [1 << bit for bit in range(53, -1, -1) if size >> bit & 1]
    trees = [(count, bytes.fromhex(one)) for count, one in zip(counts, hashes)]  # the largest first
    start, good, held, suspect = size, size, None, None
    end, end_root, _ = checkpoint(head.encode(), keys, "checkpoint", 1, size)
    refuse(end < size, "checkpoint_misplaced", 1, size, size)

    def root():
        hashes = [one for _, one in reversed(trees)] or [sha256().digest()]
        return reduce(lambda right, left: sha256(b"\1" + left + right).digest(), hashes)

    def signed(its_root, line):
        nonlocal good, held
        other = its_root != root()
        refuse(other and held == size, "checkpoint_fork", line, size, size)
        refuse(other, "root_mismatch", line, good, suspect[0] if suspect else size)
        good, held = good if suspect else size, size

    while True:
        if held != size:  # Nothing was held against the entries until here.
            others = [one for one in seen.get(size, []) if one[1] != root()]
            suspect = suspect or (others[0] if others else None)
            if size in seen and not others:
                signed(root(), line)
            if size == end:
                signed(end_root, 1)
        text, line = export.readline(LINE_MAX + 1), line + 1
        if not text:
            break
        is_cut = text[-1:] != b"\n" and len(text) <= LINE_MAX
        refuse(is_cut, "truncated", line, size, max(end, size))
        if text[:9] + text[73:83] != b'{"leaf":"","entry":' or text[-2:] != b"}\n":
            bare, otherwise = text.removesuffix(b"\n"), ("malformed", line, size, size + 1)
            (note,) = canonical(bare, ["checkpoint"], lambda note: type(note) is str, *otherwise)
            covers, its_root, _ = checkpoint(note.encode(), keys, "checkpoint", line, size)
            refuse(covers != size, "checkpoint_misplaced", line, *sorted((covers, size)))
            checkpoints += 1
            signed(its_root, line)
            continue
        leaf, hash = text[83:-2], sha256(b"\0" + text[83:-2]).digest()
        refuse(size == end, "uncovered", line, size, size + 1)
        refuse(hash.hex().encode() != text[9:73], "leaf_changed", line, size, size + 1)
        is_entry = lambda v, index, *_: v == 1 and type(v) is type(index) is int
        fields = ENTRY if len(leaf) <= LEAF_MAX else []
        _, index, *_ = canonical(leaf, fields, is_entry, "leaf_malformed", line, size, size + 1)
        refuse(index > size, "gap", line, size, index)
        refuse(index < size, "repeated", line, index, size + 1)
        trees, size = trees + [(1, hash)], size + 1
        while len(trees) > 1 and trees[-1][0] == trees[-2][0]:
            (count, left), (_, right) = trees[-2:]
            trees[-2:] = [(2 * count, sha256(b"\1" + left + right).digest())]
    refuse(size < end, "truncated", line - 1, size, end)
    refuse(suspect, "fork", suspect and suspect[2], good, suspect and suspect[0])
    last = max(seen, default=0)
    refuse(last > size, "rolled_back", seen.get(last, [(0, 0, 0)])[-1][2], size, last)
    early, late = (sum(len(seen[at]) for at in seen if (at < start) == is_it) for is_it in (1, 0))
    log = {"from": start, "size": size, "root": end_root.hex(), "checkpoints": checkpoints}
    print(json.dumps({"verdict": "ok", **log, "witnessed": late, "skipped": early}))


keys = []
for name, key_id, key in (one.split("+", 2) for one in sys.argv[1].split(",")):
    typed = unbase64(key)
    must(len(typed) == 33 and typed[0] == 1, "this is no key of Ed25519")
    must(sha256(name.encode() + b"\n" + typed).hexdigest()[:8] == key_id, "the key was changed")
    keys.append((name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(typed[1:])))
verify(open(sys.argv[2], "rb"), keys, open(sys.argv[3], "rb").read() if sys.argv[3:] else b"")

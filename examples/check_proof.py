"""Check that a record is in the audit chain: `python check_proof.py proof.json`. RFC 9162 §2.1.3.2."""

import base64
import hashlib
import json
import sys
from pathlib import Path

proof = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
root = base64.b64decode(proof["checkpoint"].split("\n")[2])
node, place, last = hashlib.sha256(b"\x00" + proof["record"].encode()).digest(), proof["seq"] - 1, proof["size"] - 1
for sibling in map(bytes.fromhex, proof["proof"]):
    right = place % 2 == 1 or place == last
    while right and place % 2 == 0 and place:
        place, last = place // 2, last // 2
    node = hashlib.sha256(b"\x01" + (sibling + node if right else node + sibling)).digest()
    place, last = place // 2, last // 2
if node != root or last:
    sys.exit("the record is NOT in the chain of this checkpoint")
print(f"record {proof['seq']} is in the chain of this checkpoint, which is over {proof['size']} records")

"""A picture as a JPEG. A script for `painting.call`.

Job: {"from": path, "to": path}. Answer: {}.
"""

import json
import sys

from PIL import Image

if __name__ == "__main__":
    job = json.load(sys.stdin)
    Image.open(job["from"]).convert("RGB").save(job["to"], quality=90)
    print("{}")

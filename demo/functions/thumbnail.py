"""Makes a thumbnail: a JPEG in base64 comes in, a smaller one goes out. Pillow travels in the function's own zip."""

import base64
import io

from PIL import Image


def handler(event, context):
    photograph = Image.open(io.BytesIO(base64.b64decode(event["image"])))
    before = photograph.size
    photograph.thumbnail((event.get("width", 160), event.get("height", 160)))
    out = io.BytesIO()
    photograph.save(out, "JPEG", quality=85)
    print(f"{before[0]}x{before[1]} became {photograph.width}x{photograph.height}, {out.tell()} bytes")
    return {"size": photograph.size, "image": base64.b64encode(out.getvalue()).decode()}

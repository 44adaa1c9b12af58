"""From a caption to conditioning, for the demo's tiny SD3. Plain torch; knows nothing of ComfyUI."""

import difflib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor


class Words:
    """Trained word vectors. A caption has up to four parts, in any order: a concept, an art style, a tint, a background."""

    def __init__(self, path: Path) -> None:
        """Reads words.safetensors: one table of vectors per part, row 0 for "not said", the vocabulary in its metadata."""
        with safe_open(str(path), framework="pt") as file:
            self.vocabulary: dict[str, list[str]] = json.loads(file.metadata()["vocabulary"])
            self.tables = {part: file.get_tensor(part).float() for part in self.vocabulary}
            self.pooled = file.get_tensor("pooled").float()
        self.place = {word: (part, i + 1) for part, words in self.vocabulary.items() for i, word in enumerate(words)}

    def parse(self, text: str) -> dict[str, int]:
        """Caption -> the row of each part. Raises ValueError naming an unknown word, or a part that is said twice."""
        rows: dict[str, int] = {}
        for phrase in text.lower().replace("\n", ",").split(","):
            words = phrase.split()
            while words:
                known = next((n for n in range(len(words), 0, -1) if " ".join(words[:n]) in self.place), 0)
                if not known:
                    raise ValueError(self.unknown(" ".join(words)))
                part, row = self.place[" ".join(words[:known])]
                if rows.setdefault(part, row) != row:
                    raise ValueError(f"two words for the {part} in {text!r}: the demo's model knows one of each")
                words = words[known:]
        return rows

    def unknown(self, phrase: str) -> str:
        """The message for a phrase that the demo's model never saw."""
        near = difflib.get_close_matches(phrase, self.place, n=3, cutoff=0.5)
        near += [
            word for word in self.place if any(piece in word.split() for piece in phrase.split()) and word not in near
        ][:3]
        concepts = self.vocabulary["concept"]
        near = near or concepts[:: len(concepts) // 6][:6]
        style = "; ".join(", ".join(words) for part, words in self.vocabulary.items() if part != "concept")
        return f"the demo's model does not know {phrase!r}. It knows {len(concepts)} things, such as {', '.join(near)}; and {style}"

    def encode(self, text: str) -> tuple[Tensor, Tensor]:
        """Caption -> context [1, 7, 256] and pooled [1, 256]; "" gives the trained unconditional."""
        rows = self.parse(text)
        context = torch.cat([table[rows.get(part, 0)] for part, table in self.tables.items()])
        return context[None], self.pooled[rows.get("concept", 0)][None]

"""The pack's nodes: declare, convert, call the engine, return."""

from comfy_api.v0_0_2 import ComfyExtension, io

from ..headhunter.host.server import routes
from .atlas import HeadHunterAtlas
from .compare import HeadHunterCompare
from .edit_heads import HeadHunterEditHeads
from .guider import HeadHunterGuider
from .presets import HeadHunterPreset, HeadHunterSavePreset
from .prompts import HeadHunterPrompt, HeadHunterPrompts
from .score_images import HeadHunterScore
from .score_models import HeadHunterAestheticScorer, HeadHunterLoadScoringModel, HeadHunterTextScorer
from .scorers import (
    HeadHunterCombineScorers,
    HeadHunterReferenceScorer,
    HeadHunterStatisticScorer,
    HeadHunterTasteScorer,
)
from .search import HeadHunterSearch
from .soft_pag import HeadHunterSoftPAG
from .workers import HeadHunterWorkers

NODES: list[type[io.ComfyNode]] = [
    HeadHunterSoftPAG,
    HeadHunterGuider,
    HeadHunterEditHeads,
    HeadHunterPreset,
    HeadHunterSavePreset,
    HeadHunterPrompts,
    HeadHunterPrompt,
    HeadHunterSearch,
    HeadHunterAtlas,
    HeadHunterCompare,
    HeadHunterLoadScoringModel,
    HeadHunterTextScorer,
    HeadHunterAestheticScorer,
    HeadHunterReferenceScorer,
    HeadHunterTasteScorer,
    HeadHunterStatisticScorer,
    HeadHunterCombineScorers,
    HeadHunterScore,
    HeadHunterWorkers,
]


class HeadHunterExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        routes.install()
        return NODES

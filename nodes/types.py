"""The wire types that only HeadHunter's own nodes use."""

from comfy_api.v0_0_2 import io

Prompts = io.Custom("HEADHUNTER_PROMPTS")
Scorer = io.Custom("HEADHUNTER_SCORER")
ScoringModel = io.Custom("HEADHUNTER_SCORING_MODEL")
Workers = io.Custom("HEADHUNTER_WORKERS")

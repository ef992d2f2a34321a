"""How turns are masked before they are kept: with the named-entity model, or by rules alone."""

from __future__ import annotations

import re
from pathlib import Path

from voice_agent.config import Settings
from voice_agent.models import locate
from voice_agent.safety.masking import Mask, mask_identifiers, mask_with
from voice_agent.safety.policy import Policy

_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_MAX_BYTES = 4_000_000


def record_mask(settings: Settings, policy: Policy) -> Mask:
    """The function that masks what the policy says of records.

    Raises:
        ModelMissing: the model that the settings name is not on this machine.
        NamesUnusable: it cannot be loaded.
    """
    kinds = policy.mask.records
    if not settings.safety.names_model:
        return mask_identifiers(kinds)
    folder = locate(settings.models.folder, settings.safety.names_model)
    from voice_agent.safety.personal_data import PersonalData  # takes seconds to import

    spared = company_words(settings.answering.company, settings.knowledge.documents)
    return mask_with(PersonalData.load(folder, spared).find, kinds)


def company_words(company: str, documents: Path) -> frozenset[str]:
    """Lower-case words of the company's name and of its own documents: nobody's name."""
    words = {word.lower() for word in _WORD.findall(company)}
    read = 0
    for path in sorted(documents.glob("*.md")) if documents.is_dir() else []:
        if (read := read + path.stat().st_size) > _MAX_BYTES:
            break
        text = path.read_text(encoding="utf-8", errors="replace")
        words.update(word.lower() for word in _WORD.findall(text))
    return frozenset(words)

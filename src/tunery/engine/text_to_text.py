"""Models that read with an encoder and write with a decoder, asked for the hidden states of a batch.

An example's trunk is what the encoder reads, each of its branches a text that the decoder writes. It knows no loss.
"""

import torch
from transformers import PreTrainedModel

from tunery.engine.batches import Batch


def read_and_written(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Last hidden states [T, H], of the encoder in trunks and of the decoder in branches, ready for the output layer.

    Examples go one by one: each trunk is read once, whatever branches it has.
    """
    encoder, decoder = model.get_encoder(), model.get_decoder()
    # The first T5 made its output layer of the words' embeddings, and evens out their size here.
    scale = model.config.d_model**-0.5 if getattr(model.config, "scale_decoder_outputs", False) else 1.0
    parts: list[torch.Tensor] = []
    for tokens, shape in zip(
        batch.tokens_T.split([sum(shape) for shape in batch.shapes]), batch.shapes, strict=True
    ):
        trunk, *branches = tokens.split(shape)
        read = encoder(input_ids=trunk[None]).last_hidden_state
        parts.append(read[0])
        for branch in branches:
            written = decoder(input_ids=branch[None], encoder_hidden_states=read, use_cache=False)
            parts.append(written.last_hidden_state[0] * scale)
    return torch.cat(parts)

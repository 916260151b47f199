"""The network: pictures and sound to what object queries say of each frame."""

from __future__ import annotations

from torch import Tensor, nn

from avseg.host import on_host
from avseg.models.qdformer.config import QDFormerConfig
from avseg.models.qdformer.decoder import Located, ObjectDecoder, QueryLayer
from avseg.models.qdformer.decomposition import Calibration, Decomposition, Resizer, Sound, TokenDecoder
from avseg.models.qdformer.encoder import LEVELS, Projections
from avseg.models.qdformer.fusion import EarlyFusion
from avseg.models.qdformer.heads import MaskHead, class_head
from avseg.models.qdformer.output import QDFormerOutput, QueryPrediction
from avseg.models.qdformer.pixel_decoder import DualAttention, DualFusion, FeaturePyramid
from avseg.nn.backbones import make_backbone
from avseg.nn.deform_encoder import DeformableEncoder, as_maps, flattened
from avseg.nn.frames import by_frame, gathered, is_exporting, spread
from avseg.nn.quantizer import Averages, Coded, Quantizer


class QDFormerNetwork(nn.Module):
    """Frame-wise parts run once for all existing frames; padding frames have no effect."""

    def __init__(self, classes: int, config: QDFormerConfig) -> None:
        """
        Args:
            classes: M, background not among them; 1 for binary tasks.
            config: the family's config.

        Raises:
            ValueError: an unknown backbone, a width that the heads or the norms' groups do not divide.
        """
        super().__init__()
        self.config = config
        width, tokens = config.width, config.tokens if config.decompose else 1
        self.backbone = make_backbone(config.backbone, config.backbone_options, frozen_norms=config.freeze_norms)
        fine, *coarse = self.backbone.channels
        self.resizer = Resizer(
            config.audio_width, width, config.heads, config.feedforward, config.audio_context_layers, config.dropout
        )
        self.decomposition = _decomposition(config) if config.decompose else None
        self.quantizer = _quantizer(config, tokens) if config.quantise else None
        self.calibration = _calibration(config) if config.decompose and config.local_calibration else None
        self.projections = Projections(coarse, width)
        self.fusion = EarlyFusion(width, config.heads, tokens, config.token_position) if config.early_fusion else None
        self.encoder = _encoder(config) if config.encoder_layers else None
        self.pixel_decoder = FeaturePyramid(
            fine, width, _dual(config) if config.pixel_decoder == "audio_dual" else None
        )
        self.decoder = _decoder(config)
        heads = config.decoder_layers if config.box_refine else 1
        self.classes = nn.ModuleList(class_head(width, classes, config.class_layers) for _ in range(heads))
        self.masks = MaskHead(width, config.mask_channels, config.relative_unit)
        _freeze(self.backbone, config.frozen_stages, config.freeze_visual)
        self.train(self.training)

    def train(self, mode: bool = True) -> QDFormerNetwork:
        """As always, but a backbone that does not learn stays in evaluation mode."""
        super().train(mode)
        if self.config.freeze_visual:
            self.backbone.eval()
        return self

    def forward(self, images: Tensor, audio: Tensor, valid: Tensor) -> QDFormerOutput:
        """
        Args:
            images: (M, 3, H, W) normalised pictures of the frames that exist, clip after clip.
            audio: (B, T, S, W), what is heard in each frame's second, in S parts.
            valid: (B, T) bool, the frames that exist: M of them, at least one in every clip.

        Returns:
            What `QDFormerOutput` says, but for `sounding_logits`.

        Raises:
            ValueError: shapes that do not fit each other, a clip without a frame.
        """
        if not is_exporting():
            _check(images, audio, valid, self.config.audio_width)
        sound = self.resizer(audio, valid)
        clip_tokens = self._decomposed(sound)
        frame_tokens = self._calibrated(clip_tokens.tokens, sound)
        given = by_frame(clip_tokens.tokens, valid)  # (M, N, C), the tokens of each frame's clip
        fine, maps = self._looked(images, valid, given)
        memory, sizes = flattened(maps)
        if self.encoder is not None:
            memory = self.encoder(memory, sizes)
        features = self.pixel_decoder([fine, *as_maps(memory, sizes)[:3]], clip_tokens.tokens, valid)
        content = self._content(given if frame_tokens is None else frame_tokens.tokens)
        located = self.decoder(content, memory, sizes)
        kept = range(len(located)) if self.training else range(len(located) - 1, len(located))
        size = (images.shape[2], images.shape[3])
        return QDFormerOutput(
            layers=[self._said(index, located[index], features, size, valid) for index in kept],
            valid=valid,
            sizes=size,
            clip_tokens=clip_tokens,
            frame_tokens=None if frame_tokens is None else _spread(frame_tokens, valid),
        )

    def _decomposed(self, sound: Sound) -> Coded:
        """(B, N, C); without decomposition the mean of the sound, N = 1."""
        raw = sound.mean()[:, None] if self.decomposition is None else self.decomposition(sound)
        return self._quantised(raw, learns=True)

    def _calibrated(self, clip_tokens: Tensor, sound: Sound) -> Coded | None:
        """(M, N, C), or None where the clip's tokens serve every frame.

        Without decomposition the sound of each frame as it is, N = 1: its codebook, if any, is that of fusion alone.
        """
        if self.decomposition is None:
            raw = gathered(sound.values, sound.valid).mean(1, keepdim=True)
            return Coded(raw, raw)
        if self.calibration is None:
            return None
        given = clip_tokens.detach() if self.config.local.stop_gradient else clip_tokens
        return self._quantised(self.calibration(given, sound), learns=False)

    def _quantised(self, raw: Tensor, learns: bool) -> Coded:
        if self.quantizer is None:
            return Coded(raw, raw)
        coded: Coded = self.quantizer(raw, learns)
        return coded

    def _looked(self, images: Tensor, valid: Tensor, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The backbone's map at stride 4, and four in width C at strides 8 to 64 that have met the tokens."""
        if getattr(self.backbone, "clips", False):
            fine, *coarse = self.backbone(images, [length for length in on_host(valid).sum(1).tolist() if length])
        else:
            fine, *coarse = self.backbone(images)
        maps = self.projections(coarse)
        return fine, maps if self.fusion is None else self.fusion(maps, tokens)

    def _content(self, tokens: Tensor) -> Tensor:
        """(M, N, C) -> (M, Q, C); the one token there is without decomposition serves all queries."""
        repeated = self.config.queries_per_token * (self.config.tokens if self.decomposition is None else 1)
        return tokens.repeat_interleave(repeated, 1)

    def _said(
        self, index: int, located: Located, features: Tensor, size: tuple[int, int], valid: Tensor
    ) -> QueryPrediction:
        masks = self.masks(located.queries, located.centres, features, size)
        return QueryPrediction(
            class_logits=spread(self.classes[index % len(self.classes)](located.queries), valid),
            boxes=spread(located.boxes, valid),
            mask_logits=spread(masks, valid),
        )


def _decomposition(config: QDFormerConfig) -> Decomposition:
    return Decomposition(
        config.tokens,
        config.width,
        config.prototype_deviation,
        config.heads,
        config.feedforward,
        config.decomposition_layers,
        config.dropout,
    )


def _quantizer(config: QDFormerConfig, tokens: int) -> Quantizer:
    book = config.codebook
    return Quantizer(
        book.codes,
        config.width,
        dim=book.width,
        beta=book.beta,
        update=book.update,
        averages=Averages(book.decay, book.epsilon),
        restart_after=book.restart_after,
        normalise=book.normalise,
        slots=1 if book.shared else tokens,
    )


def _calibration(config: QDFormerConfig) -> Calibration:
    local = config.local
    decoder = TokenDecoder(config.width, config.heads, config.feedforward, local.layers, config.dropout)
    deviation = config.prototype_deviation
    return Calibration(config.tokens, decoder, config.width, deviation, local.query, local.memory, local.window)


def _encoder(config: QDFormerConfig) -> DeformableEncoder:
    return DeformableEncoder(
        config.width,
        config.heads,
        config.feedforward,
        config.encoder_layers,
        levels=LEVELS,
        points=config.points,
        dropout=config.dropout,
    )


def _dual(config: QDFormerConfig) -> DualFusion:
    block = DualAttention(config.width, config.heads, config.feedforward, config.dropout)
    return DualFusion(block, config.width, config.dual_pool)


def _decoder(config: QDFormerConfig) -> ObjectDecoder:
    layers = [
        QueryLayer(config.width, config.heads, config.feedforward, config.points, config.dropout)
        for _ in range(config.decoder_layers)
    ]
    return ObjectDecoder(config.tokens * config.queries_per_token, layers, config.width, config.box_refine)


def _freeze(backbone: nn.Module, stages: int, whole: bool) -> None:
    """The whole backbone, or of a ResNet the stem and the first stages."""
    if whole:
        backbone.requires_grad_(False)
        return
    parts = dict(getattr(backbone, "stages", backbone).named_children())
    if stages and "layer4" in parts:
        for name in ("conv1", "bn1", *(f"layer{index + 1}" for index in range(stages))):
            parts[name].requires_grad_(False)


def _spread(coded: Coded, valid: Tensor) -> Coded:
    """Scatter values of M frames to (B, T)."""
    return Coded(
        spread(coded.raw, valid),
        spread(coded.tokens, valid),
        None if coded.codes is None else spread(coded.codes, valid),
        coded.codebook_loss,
        coded.commitment_loss,
    )


def _check(images: Tensor, audio: Tensor, valid: Tensor, audio_width: int) -> None:
    if audio.ndim != 4 or audio.shape[:2] != valid.shape or audio.shape[3] != audio_width:
        raise ValueError(
            f"sound of shape {tuple(audio.shape)} for clips and frames {tuple(valid.shape)}; wanted "
            f"(B, T, S, {audio_width}), the parts of each frame's second"
        )
    frames = on_host(valid).sum(1)
    if images.ndim != 4 or len(images) != int(frames.sum()):
        raise ValueError(
            f"pictures of shape {tuple(images.shape)} for {int(frames.sum())} frames; wanted (M, 3, H, W), one "
            "for each frame that exists"
        )
    if not bool(frames.all()):
        empty = (frames == 0).nonzero().flatten().tolist()
        raise ValueError(f"clip(s) {empty} of the batch have no frame; leave them out")

"""A model and its optimiser in DeepSpeed, which only this module and `process.py` know.

Legend: B batch, T target length, V vocabulary.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unified_vl.checkpoint_folders import STATE
from unified_vl.data.batching import Batch
from unified_vl.model.backbone import Backbone, ComputeInstead, ComputeWithin, UnifiedVLOutput
from unified_vl.model.learning.target_loss import Targets
from unified_vl.model.tuning.adapters import add_adapters, merged
from unified_vl.specs.run import Run
from unified_vl.specs.runs.engine import read_engine
from unified_vl.specs.runs.run_rules import refuse_uneven
from unified_vl.training.balancing.flat_gradients import flat_gradient, loss_of
from unified_vl.training.distributed.loss_scale import LossScale, refuse_fp16, told_when_least
from unified_vl.training.distributed.masters import changing_masters
from unified_vl.training.distributed.process import Process, quiet
from unified_vl.training.distributed.shards import fragments, load_shards, save_shard
from unified_vl.training.distributed.unused_weights import fill_in_gradients, forget_gradients
from unified_vl.training.distributed.weight_means import EMA, MOMENTUM, WeightMeans


def refuse_unable_device(run: Run) -> None:
    """That the device computes in what the run's engine file asks for.

    Raises:
        UserError: at the key of that file.
    """
    with quiet():
        from deepspeed.accelerator import get_accelerator

        accelerator = get_accelerator()
    refuse_fp16(run, accelerator.device_name(), accelerator.is_fp16_supported())


class Engine:
    """A model and its optimiser, sharded and stepped by DeepSpeed.

    Args:
        process: of `start_process`.
        model: the same weights on every rank.
        optimizer: over the model's parameters; its learning rate is set at each step.
        run: batch size and clipping.
        momentum: whether objectives read a momentum copy of the weights.

    Raises:
        UserError: for a bad engine file, or a batch that the ranks cannot share evenly.
    """

    def __init__(
        self,
        process: Process,
        model: Backbone,
        optimizer: torch.optim.Optimizer,
        run: Run,
        *,
        momentum: bool = False,
    ) -> None:
        refuse_uneven(run, process.world)
        engine = read_engine(run.engine)
        self.process = process
        self.model = model
        self._clip = run.clip
        self._lora = run.lora
        # without shards or masters the gradients lie in the parameters: clipped here, in
        # one pass that also gives their norm, which DeepSpeed then would not tell
        self._stage = engine.stage
        self._plain = engine.stage == 0 and not engine.bf16.enabled
        with quiet():
            import deepspeed

            try:
                self._engine, *_ = deepspeed.initialize(
                    model=model,
                    optimizer=optimizer,
                    config={
                        **engine.written,
                        # counted by nobody: the loss knows how many tokens there are
                        "train_batch_size": run.batch_size or process.world,
                        "gradient_accumulation_steps": 1,
                        "gradient_clipping": 0.0 if self._plain else run.clip or 0.0,
                        # the optimiser is torch's, also where its state is offloaded
                        "zero_force_ds_cpu_optimizer": False,
                        "zero_allow_untested_optimizer": True,
                    },
                )
            except (ValueError, AssertionError, NotImplementedError) as error:
                # the message names the key, or what this machine cannot do
                raise run.error(("engine",), f"DeepSpeed refuses it: {error}") from error
        self._accept: Callable[[float], bool] | None = None
        self._accepted: bool | None = None
        self._norm: torch.Tensor | None = None
        self._optimizer = optimizer
        self.loss_scale: LossScale | None = None
        if engine.fp16.enabled:
            self.loss_scale = LossScale(self._engine.optimizer)
        held = fragments(model, self._engine.optimizer, process.rank)
        flats = [fragment.flat for fragment in held.values()]
        self._means = WeightMeans(run, self._engine.optimizer, flats, momentum=momentum)
        self._inner_step = optimizer.step
        optimizer.step = self._update  # type: ignore[method-assign, assignment]
        if engine.stage == 0 and process.world == 1:
            # one process without shards: there is nothing to reduce, only copies to save
            self._engine.enable_backward_allreduce = False

    def close(self) -> None:
        """Let go of the weights. They hold hooks of DeepSpeed's, which Python's collector does not
        see: the model, its gradients and moments, and the groups of processes would stay until
        the process ends, and threads of these groups that run then may abort it."""
        with quiet():
            self._engine.destroy()
        if self._stage == 3:
            _forget_in_stage_3(self.model)

    def outputs(
        self,
        batch: Batch,
        targets: Targets | None = None,
        more: Mapping[str, Any] | None = None,
        within: Sequence[ComputeWithin] = (),
        *,
        apart: bool = False,
    ) -> UnifiedVLOutput:
        """What the model makes of the batch's labels, which the decoder reads one to the right.

        Args:
            batch: has labels.
            targets: the loss that is asked for; logits (B, T, V) alone unless given.
            more: what objectives want the model to read beside it.
            within: what they compute with its layers in the same call.
            apart: without DeepSpeed, so that a backward pass is none of an update; up to ZeRO 2.
        """
        assert batch.labels_BT is not None, "training and validation need targets"
        model = self.model if apart else self._engine
        output: UnifiedVLOutput = model(
            **batch.model_inputs(),
            **(more or {}),
            targets=targets,
            packing=batch.packing,
            within=within,
            decoder_input_ids=self.model.prepare_decoder_input_ids_from_labels(batch.labels_BT),
            use_cache=False,
        )
        return output

    def momentum(self, compute: ComputeInstead) -> Any:
        """What `compute` makes of the momentum copy of the weights: without dropout and gradients.

        The copy takes the place of the weights, of which each rank has its share, and these theirs
        again: so it is between two updates' passes, never between forward and backward.
        """
        training = self._engine.training
        self._engine.eval()
        try:
            with torch.no_grad(), self._means.exchanged(MOMENTUM):
                return self._engine(instead=compute)
        finally:
            self._engine.train(training)

    def backward(self, loss: torch.Tensor, *, last: bool = True) -> None:
        """Add to the gradients, averaged over the ranks by DeepSpeed.

        Args:
            loss: of a part of an update.
            last: whether `step` follows; otherwise more parts do.
        """
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss)
        if not last:
            self._engine.step()  # at no boundary it counts the part, and changes no weight

    def gradient(self, loss: torch.Tensor) -> torch.Tensor:
        """This rank's gradient of a loss of `outputs(apart=True)`, beside those of the update.

        Returns:
            (trained weights,), float32, one parameter behind the other as in `model`.
        """
        scale = 1.0 if self.loss_scale is None else self.loss_scale.value
        return flat_gradient(loss * scale, self.model).div_(scale)

    def backward_of(self, share: torch.Tensor) -> None:
        """Make a gradient that is known that of the update, at ZeRO 0 to 2.

        By way of a loss whose gradient it is, so that DeepSpeed reduces and cuts it as any other.

        Args:
            share: of this rank, as `gradient` has it; their sum over the ranks is the gradient.
        """
        self.backward(loss_of(share * self.process.world, self.model), last=True)

    def step(self, learning_rate: float, accept: Callable[[float], bool] | None = None) -> float:
        """Clip, update the weights and forget the gradients; returns the gradient's norm.

        Args:
            learning_rate: of this step.
            accept: told the norm, the same on all ranks, before anything is updated; where it
                says no, weights, masters and the optimiser's state stay as they are.
        """
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate * group.get("lr_scale", 1.0)
        self._accept, self._accepted, self._norm = accept, None, None
        if self._plain:
            self._norm = nn.utils.clip_grad_norm_(
                self.model.parameters(), self._clip or float("inf")
            )
        if self._stage == 0:
            fill_in_gradients(self.model)
        with told_when_least():
            self._engine.step()
        if self._stage == 3:
            forget_gradients(self._engine.optimizer)
        if self.loss_scale is not None and self.loss_scale.overflowed:
            self._accepted = False  # the scale was too large, which is no fault of the gradient
        elif self._accepted is None:  # DeepSpeed met inf or NaN and did not come to its optimiser
            self._accepted = accept is None or accept(self._global_norm())
        elif self._accepted:
            self._means.update()
        return self._global_norm()

    def _global_norm(self) -> float:
        """Of the step's gradient before clipping; infinite where it is no number."""
        norm: Any = self._norm if self._plain else self._engine.optimizer._global_grad_norm
        found = math.nan if norm is None else float(norm)
        return found if found >= 0 else math.inf  # DeepSpeed says -1 for what is no number

    def _update(self) -> None:
        """What DeepSpeed calls as the optimiser's `step`, once for each of its shards.

        By then it has reduced, measured and clipped the gradients, at every stage and
        precision, and does nothing afterwards but copy the masters to the weights.
        """
        if self._accepted is None:
            self._accepted = self._accept is None or self._accept(self._global_norm())
        if self._accepted:
            self._inner_step()

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """No dropout and no gradients inside."""
        self._engine.eval()
        try:
            with torch.no_grad(), self._means.exchanged(EMA):
                yield
        finally:
            self._engine.train()

    @contextlib.contextmanager
    def without_dropout(self) -> Iterator[None]:
        """The weights as they are trained, with gradients, and no dropout inside."""
        self._engine.eval()
        try:
            yield
        finally:
            self._engine.train()

    @contextlib.contextmanager
    def whole_model(self) -> Iterator[Backbone]:
        """The model in evaluation mode, without gradients, free of any other rank.

        Under ZeRO-3 this is a copy: its shards would have to be gathered anew for each
        token that is written, by all ranks at the same time.
        """
        try:
            with torch.no_grad(), self._means.exchanged(EMA):
                model = self._copy_of_shards() if self._stage == 3 else self.model
                model.eval()
                with contextlib.nullcontext() if self._lora is None else merged(model):
                    yield model
        finally:
            self.model.train()

    def _copy_of_shards(self) -> Backbone:
        import deepspeed

        parameters = dict(self.model.named_parameters())
        copy = type(self.model)(self.model.config)
        first = next(iter(parameters.values()))
        if self._lora is not None:
            add_adapters(copy, self._lora)
        nn.Module.to(copy, device=self.process.device, dtype=first.dtype)
        with deepspeed.zero.GatheredParameters(list(parameters.values())):
            copy.load_state_dict(self.model.state_dict())
        return copy

    def save(self, directory: Path) -> None:
        """Write this rank's share of the weights and the optimiser's state.

        Raises:
            OSError: when it cannot be written.
        """
        process, optimizer = self.process, self._engine.optimizer
        save_shard(
            directory / STATE,
            self.model,
            optimizer,
            self._optimizer.state,
            process.rank,
            process.world,
            self._means.by_kind,
        )

    def load(self, directory: Path) -> None:
        """Read what `save` wrote, on whatever number of ranks, and compute with it."""
        with changing_masters(self._engine.optimizer):
            load_shards(
                directory / STATE,
                self.model,
                self._engine.optimizer,
                self._optimizer.state,
                self.process.rank,
                self._means.by_kind,
            )

    def weights(self) -> dict[str, torch.Tensor]:
        """The whole model in float32 on the CPU; empty on ranks other than 0.

        With bf16 these are the weights that training computed with.
        """
        with quiet():
            import deepspeed

            parameters = list(self.model.parameters())
            with self._means.exchanged(EMA), deepspeed.zero.GatheredParameters(parameters):
                if self.process.rank != 0:
                    return {}
                return {
                    name: value.detach().to("cpu", torch.float32, copy=True)
                    for name, value in self.model.state_dict().items()
                }


def _forget_in_stage_3(model: nn.Module) -> None:
    """Take a model out of the stack of running modules and the cache of parameters to release.

    DeepSpeed (0.19) keeps them for all engines of a process, also after one was destroyed. The
    cache is filled again where another one still trains.
    """
    from deepspeed.runtime.zero import parameter_offload
    from deepspeed.runtime.zero.partitioned_param_coordinator import PartitionedParameterCoordinator

    stack = parameter_offload.FWD_MODULE_STACK
    stack[:] = [module for module in stack if module is not model]
    cached = vars(PartitionedParameterCoordinator).get(
        "_PartitionedParameterCoordinator__params_to_release"
    )
    for cell in getattr(cached, "__closure__", None) or ():
        clear = getattr(cell.cell_contents, "cache_clear", None)  # behind a decorator
        if clear is not None:
            clear()

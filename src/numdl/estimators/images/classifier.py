"""Which class is a picture of, with the best that some seconds give: patches, a kernel on them, a network from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from scipy.special import log_softmax

from numdl import checks
from numdl.contracts.threads import one_blas_thread
from numdl.estimators.images import kernel
from numdl.estimators.images.mixing import exponents
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.patches.certified import Bounds, Seen
from numdl.estimators.patches.certifying import Known, Pair
from numdl.estimators.patches.classifier import Learned, PatchFeaturesClassifier
from numdl.estimators.patches.intake import reduced

HELD, LEAST_HELD, MOST_HELD = 0.1, 30, 2000
"""Share of the rows that judges the members, and between how many; with fewer there are patches alone."""

LEAST = 30.0
"""Seconds that have to be left for a network: a third of them goes into compiling it."""

FILTERING, ALONE = 0.3, 0.5
"""Share of the time that patches take at most, and where it is not enough for a network."""

MARGIN = 0.06
"""Share of the time that is kept for the network's predictions of held-out rows."""


class ImageClassifier(PatchFeaturesClassifier):
    """Classes of images in a given time: the product of up to three members, as held-out rows want it.

    1. Patches: ``PatchFeaturesClassifier`` in a third of the time, in half of it where that is short.
    2. A Gaussian kernel on the same features, solved for up to 12,000 rows.
    3. Where half a minute or more is left, and images are not so small that their patches have less than four places a
       side to be averaged over: a network that begins from what the first filters see, of Hamiltonian flows where
       there is time for eight epochs of them, trained in what is left of it.

    With fewer than 150 rows there are patches alone.

    Exponents of the members make a tenth of the rows most probable, told by patches and kernel as they are without
    these rows, and not shown to the network. They are only taken where these rows are told better by them than by
    patches alone. Nothing is to be tuned.

    Args:
        time_budget: seconds at most for the fit, positive. 16 filters are fitted whatever it takes.
        image_shape: (height, width) or (height, width, channels) of one image where X holds rows, channels of a pixel
            beside each other; None for arrays of images. Images over 48 pixels a side are reduced to at most 48 by
            means over rectangles of pixels.
        mirror: whether an image and its mirror image mean the same; "auto" to find out by the criterion.
        class_weight: factors on the weights of rows: None, "balanced" for the same total of each class, or a dictionary
            from labels.
        random_state: seed or generator. What is found depends on the machine too, by its speed.

    Attributes:
        members_: names of the members.
        exponents_: of the members, each at least 0.
        held_out_: log loss of the held-out rows by patches alone and by the product, in nats; empty without any rows.
        missing_: why there is no kernel or network, where there is none; name to reason.
        kernel_: the kernel's part, or None.
        network_: the network's part, or None.
        leave_one_out_: and ``log_loss_``, ``left_out_error_``, ``calibration_error_``: of patches alone.
        status_: what was found, in a sentence.

    Sources: those of the modules of ``numdl.estimators.images`` and ``numdl.estimators.patches``.

    Examples:
        >>> import numpy as np
        >>> from numdl import ImageClassifier
        >>> X = np.random.default_rng(0).random((60, 8, 8))
        >>> X[:30, :, :4] += 1  # bright on the left
        >>> model = ImageClassifier(time_budget=1.0, random_state=0).fit(X, np.repeat(["left", "none"], 30))
        >>> model.predict(X[[0, -1]]).tolist()
        ['left', 'none']
    """

    _label = "numdl images"

    def __init__(
        self,
        time_budget: float = 120.0,
        *,
        image_shape: Any = None,
        mirror: bool | str = "auto",
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            image_shape=image_shape,
            mirror=mirror,
            class_weight=class_weight,
            time_budget=time_budget,
            random_state=random_state,
        )

    @property
    def _share(self) -> float:
        return FILTERING if (self.time_budget or 0) >= 2 * LEAST else ALONE

    def _check(self) -> np.random.Generator:
        checks.number(type(self).__name__, "time_budget", self.time_budget, above=0)
        return super()._check()

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, observe: Callable[[dict[str, Any]], object] | None = None
    ) -> Self:
        """Fit one member after the other, as long as there is time.

        Args:
            X: images, (n, H, W), (n, H, W, C), or rows (n, H W C) with ``image_shape``.
            y: labels, (n,).
            sample_weight: relative weight of each row, (n,), not negative; a factor on all of them changes nothing.
            observe: called with a dictionary before each stage: ``phase``, what is tried, and ``seconds``.

        Returns:
            The fitted estimator. Ctrl-C ends the fit with what there is, status ``interrupted``.

        Raises:
            ValueError: a parameter or the data cannot be used.
        """
        learned, clock = self._fit(X, y, sample_weight, observe)
        ended = f"Patches: {self._ended}"
        n = len(learned.codes)
        held = int(np.clip(HELD * n, LEAST_HELD, MOST_HELD))
        clock.share(1.0)
        if 5 * held > n:
            self.missing_ = dict.fromkeys(("kernel", "network"), f"{n} rows, it takes {5 * LEAST_HELD}")
        else:
            order = learned.rng.permutation(n)
            told = order[n - held :]
            found = [learned.left_out[told]]
            for name, member in (("kernel", self._add_kernel), ("network", self._add_network)):
                scores = clock.ending if clock.over() else member(learned, order, held, clock)
                if not isinstance(scores, str) and np.isfinite(scores).all():
                    self.members_.append(name)
                    found.append(scores)
                else:
                    self.missing_[name] = scores if isinstance(scores, str) else "its numbers overflowed"
                    setattr(self, f"{name}_", None)
            clock.insist(lambda: self._mix(np.stack(found), learned.codes[told], learned.w[told]))
            self._leave_out()
        code = "interrupted" if clock.interrupted else "converged"
        beta = ", ".join(f"{name} {b:.3g}" for name, b in zip(self.members_, self.exponents_, strict=True))
        without = "".join(f"; no {name}: {why}" for name, why in self.missing_.items())
        self.status_ = self.status_._replace(code=code, message=f"{ended}; exponents {beta}{without}.")
        return self

    def _add_kernel(self, learned: Learned, order: np.ndarray, held: int, clock: Clock) -> np.ndarray | str:
        """Scores of held-out rows by a kernel, which is kept; or why there is none."""
        clock.tell("kernel")
        c, size = np.eye(len(self.classes_))[learned.codes], len(self.mean_)
        found = ""
        with clock.guard(needed=False), one_blas_thread():
            clock.check()  # who was told may have ended the fit
            take = lambda rows: learned.columns.scaled(rows, size)  # noqa: E731
            # A network needs half a minute: with less than that and a kernel's time, all of it is the kernel's.
            found = kernel.fitted(take, c, learned.w, order, held, 0.9 * clock.left())
        if isinstance(found, str):
            return found or clock.ending
        self.kernel_, scores = found
        return scores

    def _add_network(self, learned: Learned, order: np.ndarray, held: int, clock: Clock) -> np.ndarray | str:
        """Log probabilities of held-out rows by a network, which is kept; or why there is none."""
        if clock.left() < LEAST:
            return f"{max(clock.left(), 0.0):.3g} s were left, it takes {LEAST:g}"
        from numdl.estimators.images import network

        side = network.sides_of(self.filters_)
        count = min(network.FILTERS, len(self.filters_.weights))
        if side < 4:
            shape = " x ".join(map(str, self.filters_.shape[:2]))
            return f"images of {shape} leave patches {side} places a side to be averaged over, it takes 4"
        clock.tell("network")
        clock.end -= MARGIN * clock.left()
        told = None
        with clock.guard(needed=False):
            clock.check()
            began = time.monotonic()
            x = network.responses(self.filters_, reduced(learned.images), count, side)
            times = network.epochs(self.filters_, count, time.monotonic() - began, clock.left())
            rows = order[: len(order) - held]
            self.network_ = network.trained(
                x[rows],
                learned.codes[rows],
                learned.w[rows],
                len(self.classes_),
                mirrored=self.mirror_,
                flows=times >= network.EPOCHS,
                rng=learned.rng,
                clock=clock,
            )
            if (trained := self.network_) is not None:
                told = clock.insist(lambda: trained.of_responses(x[order[len(rows) :]]))
        clock.share(1.0)
        return clock.ending if told is None else told

    def _leave_out(self) -> None:
        """Forget members whose exponent is 0, but patches, on which the others stand."""
        kept = [j for j, beta in enumerate(self.exponents_) if not j or beta > 0]
        for name in {*self.members_} - {self.members_[j] for j in kept}:
            self.missing_[name] = "held-out rows are told no better with it"
            setattr(self, f"{name}_", None)
        self.members_, self.exponents_ = [self.members_[j] for j in kept], self.exponents_[kept]

    def _mix(self, scores: np.ndarray, codes: np.ndarray, w: np.ndarray) -> None:
        """Exponents, of patches alone where held-out rows are not told better."""
        alone = scores[0] - np.logaddexp.reduce(scores[0], axis=1, keepdims=True)
        w = w / w.max()  # sums of tiny numbers are 0
        before = -float(w @ alone[np.arange(len(w)), codes] / w.sum())
        beta, after = exponents(scores, codes, w)
        good = len(scores) > 1 and np.isfinite(beta).all() and after < before
        self.exponents_ = beta if good else np.eye(len(scores))[0]
        self.held_out_ = np.array([before, after if good else before])

    def _begin(self, X: Any, y: Any, observe: Any) -> tuple[str, np.random.Generator, np.ndarray, Clock]:
        begun = super()._begin(X, y, observe)  # what is refused leaves an earlier fit as it was
        self.kernel_, self.network_, self.members_ = None, None, ["patches"]
        self.missing_: dict[str, str] = {}
        self.exponents_, self.held_out_ = np.ones(1), np.zeros(0)
        return begun

    def _restore(self) -> None:
        super()._restore()
        vars(self).setdefault("missing_", {})  # files of before have none

    @property
    def _beta(self) -> dict[str, float]:
        return dict(zip(self.members_, self.exponents_, strict=True))

    def _require_sound(self) -> None:
        super()._require_sound()
        if self.kernel_ is not None and not all(np.isfinite(part).all() for part in self.kernel_):
            raise ValueError("numbers of the kernel are not finite")

    def _log_p(self, X: Any, call: str) -> np.ndarray:
        scores, beta = self._member_scores(self._images(X, call)), self._beta
        return log_softmax(sum(beta[name] * scores[name] for name in self.members_), axis=1)

    def _member_scores(self, images: np.ndarray) -> dict[str, np.ndarray]:
        linear, others = np.zeros((2, len(images), len(self.classes_)))
        for rows, x in self._scaled(images):
            linear[rows] = x @ self.weights_
            if self.kernel_ is not None:
                others[rows] = self.kernel_.scores(x)
        found = {"patches": self.calibration_.log_p(linear + self.offset_)}
        if self.kernel_ is not None:
            found["kernel"] = others
        if self.network_ is not None:
            found["network"] = self.network_.log_p(self.filters_, images)
        return found

    def _layers(self, images: np.ndarray) -> dict[str, np.ndarray]:
        found, net = super()._layers(images), self.network_
        return found if net is None else found | net.layers(self.filters_, images)

    def _feature_slopes(self, all_seen: Sequence[Seen]) -> dict[str, np.ndarray]:
        found = super()._feature_slopes(all_seen)
        if self.kernel_ is not None:
            x = self._of_averages(np.array([seen.averages for seen in all_seen]))
            found["kernel"] = self.kernel_.slopes(x) / self.scale_[:, None]
        return found

    def _of_averages(self, averages: np.ndarray) -> np.ndarray:
        """Scaled features, (..., m), float32."""
        return ((np.sqrt(np.maximum(averages, 0.0)) - self.mean_) / self.scale_).astype(np.float32)

    def _known(self, bounds: Bounds) -> Known:
        found, head, net = super()._known(bounds), self.kernel_, self.network_
        if head is not None:
            steep = head.steepness()
            found.bent["kernel"] = lambda changes: steep * head.bend(changes.length(self.scale_))
            off = head.rounding()
            found.rounding["kernel"] = lambda seen: off(self._of_averages(seen.averages))
        if net is not None:
            factor, of_cells = net.lipschitz_bound(), bounds.of_cells(net.count, (net.side, net.side))
            found.crude["network"] = lambda seen, eps: factor * of_cells(seen, eps)
        return found

    def _margin_slope(self, bounds: Bounds, image: np.ndarray, seen: Seen, V: np.ndarray, pair: Pair) -> np.ndarray:
        found, net = super()._margin_slope(bounds, image, seen, V, pair), self.network_
        if net is None:
            return found
        from numdl.estimators.images.network import responses

        x = responses(self.filters_, image[None], net.count, net.side)[0]
        g = np.moveaxis(net.margin_slope(x, *pair), 2, 0).ravel()
        return found + self._beta["network"] * bounds.slope(image, seen, g, net.count, (net.side, net.side))

    def _record(self) -> dict[str, Any]:
        count = self.weights_.size + (0 if self.kernel_ is None else self.kernel_.coef.size)
        count += 0 if self.network_ is None else self.network_.n_parameters
        return super()._record() | {"model": "images", "n_parameters": int(count)}

    def _facts(self) -> dict[str, str]:
        alone = ("Left-out rows", "Calibration error", "Effective parameters")
        found = {f"{name} of patches" if name in alone else name: told for name, told in super()._facts().items()}
        shown = zip(self.members_, self.exponents_, strict=True)
        found["Members"] = ", ".join(f"{name} with exponent {beta:.3g}" for name, beta in shown)
        if self.missing_:
            found["Not in it"] = "; ".join(f"{name}: {why}" for name, why in self.missing_.items())
        if self.kernel_ is not None:
            found["Kernel"] = (
                f"{len(self.kernel_.rows)} rows, alpha {self.kernel_.alpha:g}, gamma {self.kernel_.gamma:.3g}"
            )
        if (net := self.network_) is not None:
            kind = "Hamiltonian flows" if net.flows else "convolutions"
            found["Network"] = (
                f"{kind} on {net.side} x {net.side} cells of {net.count} filters, {net.steps} steps, "
                f"rate {net.rate:.2g}"
            )
        if len(self.held_out_):
            found["Held-out rows"] = f"log loss {self.held_out_[1]:.4f} nats, by patches alone {self.held_out_[0]:.4f}"
        return found

"""How many principal components to keep, from the eigenvalues alone: no label is read.

Both rules ask which eigenvalues of a covariance are larger than noise would make them, where
noise is entries that are independent of each other. Neighbouring pixels never are, so on images
both count much that varies smoothly (light, pose) as signal: they say which directions are not
noise, not which are worth clustering. On FER2013's Training faces parallel analysis keeps 89 of
2,304 components of the pixels and 69 of 512 of their HOG; Gavish and Donoho's threshold, which
takes the median eigenvalue for noise, keeps 742 and 174 (`daskfer run` with
``reduce.components=auto`` gives them, with the scores). More components than recipe `hog` has make
its clusters less stable, and with Gavish and Donoho's number they follow emotion no longer.

Eigenvalues of a covariance of pure noise spread over an interval rather than equal its variance
(V. Marchenko and L. Pastur, "Distribution of eigenvalues for some sets of random matrices",
1967), the wider the more features there are for each row.
"""

from __future__ import annotations

import numpy as np

from daskfer.recipe import Rule


def choose(eigenvalues: np.ndarray, variances: np.ndarray, rows: int, rule: Rule) -> int:
    """The number of leading components to keep: at least 1, at most ``rows - 1``.

    Parameters
    ----------
    eigenvalues : float64 array (d,)
        All eigenvalues of the rows' covariance, in any order.
    variances : float64 array (d,)
        The variances of the features: the covariance's diagonal.
    rows : int
        Rows that the covariance is of.
    rule : {'parallel-analysis', 'gavish-donoho'}
        See `parallel_analysis_edge` and `gavish_donoho_edge`.
    """
    if rows < 3 or not (variances > 0).any():
        return 1
    spread = np.sort(np.asarray(eigenvalues, np.float64))[::-1][: rows - 1]
    # A direction without variance is left with the rounding of float32 products.
    spread = spread[spread > np.finfo(np.float32).eps * variances.sum()]
    if rule == "gavish-donoho":
        edge = gavish_donoho_edge(spread, int((variances > 0).sum()), rows)
    else:
        edge = parallel_analysis_edge(variances, rows)
    return max(1, int((spread > edge).sum()))


def parallel_analysis_edge(variances: np.ndarray, rows: int) -> float:
    """The largest eigenvalue to expect of features with these variances that do not correlate.

    Parallel analysis keeps the components that exceed those of unrelated features (J. Horn, "A
    rationale and test for the number of factors in factor analysis", Psychometrika 30, 1965).
    Horn drew such features at random; their largest eigenvalue is known to converge to the upper
    edge of a generalized Marchenko–Pastur law, so nothing is drawn here (E. Dobriban and A. Owen,
    "Deterministic parallel analysis", Journal of the Royal Statistical Society B 81, 2019). The
    edge is the minimum over 0 < s < 1 / max(v) of ``1/s + d/n · mean(v / (1 - v s))`` with v the
    variances (J. Silverstein and S.-I. Choi, "Analysis of the limiting spectral distribution of
    large dimensional random matrices", 1995); for equal variances it is ``v (1 + √(d/n))²``.
    """
    from scipy.optimize import minimize_scalar

    largest = float(variances.max())
    scaled = variances / largest

    def edge(at: float) -> float:
        return float(1 / at + (scaled / (1 - scaled * at)).sum() / (rows - 1))

    # Convex between its poles, so a search finds the one minimum.
    found = minimize_scalar(edge, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    return largest * float(found.fun)


def gavish_donoho_edge(eigenvalues: np.ndarray, features: int, rows: int) -> float:
    """The eigenvalue below which a component adds more noise than it restores.

    M. Gavish and D. Donoho, "The optimal hard threshold for singular values is 4/√3", IEEE
    Transactions on Information Theory 60, 2014: of all cuts by size, that at ``ω(β) · median
    singular value`` loses least in the limit of large matrices, for white noise of unknown
    strength. ω(β) is λ*(β) of their eq. 11 over the root of the Marchenko–Pastur law's median,
    which is computed rather than taken from their cubic (eq. 5, good to 0.02).

    Parameters
    ----------
    eigenvalues : float64 array (r,)
        Those above 0, of the covariance of `rows` rows of `features` features.
    """
    ratio = len(eigenvalues) / max(features, rows - 1)
    factor = optimal_threshold(ratio) ** 2 / marchenko_pastur_median(ratio)
    return factor * float(np.median(eigenvalues))


def optimal_threshold(ratio: float) -> float:
    """λ*(β): where to cut singular values when the noise is known (their eq. 11); 0 < β ≤ 1."""
    root = np.sqrt(ratio**2 + 14 * ratio + 1)
    return float(np.sqrt(2 * (ratio + 1) + 8 * ratio / (ratio + 1 + root)))


def marchenko_pastur_median(ratio: float) -> float:
    """The median of the Marchenko–Pastur law for noise of variance 1; 0 < ratio ≤ 1."""
    from scipy.optimize import brentq

    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    half = float(brentq(lambda angle: _share_below(angle, ratio) - 0.5, 1e-6, np.pi, xtol=1e-12))
    return float((low + high) / 2 - (high - low) / 2 * np.cos(half))


def _share_below(angle: float, ratio: float) -> float:
    """The law's share below ``1 + ratio - 2 √ratio cos(angle)``, angles 0 to π.

    In angles the density's square roots, one at each end of its interval, become squares of
    sines, which Gauss's quadrature takes well.
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)
    angles = (nodes + 1) * (angle / 2)
    # The interval's lower end and what is above it: for a ratio of 1 that end is 0.
    values = (1 - np.sqrt(ratio)) ** 2 + 4 * np.sqrt(ratio) * np.sin(angles / 2) ** 2
    density = 2 * np.sin(angles) ** 2 / (np.pi * values)
    return float((weights * density).sum() * angle / 2)

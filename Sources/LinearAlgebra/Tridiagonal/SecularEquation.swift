import KernelContract

/// The roots of f(λ) = 1/ρ + Σ z_j²/(d_j − λ), that is the eigenvalues of diag(d) + ρ·z·zᵀ.
///
/// One root lies between each pair of neighbouring poles, the last one within ρ‖z‖² above the last pole. A root is
/// kept as its nearest pole plus an offset, so that all differences d_j − λ have full relative accuracy; this is what
/// makes the vectors orthogonal.
///
/// - Method: f is replaced by a function with two poles whose root is the next iterate. Two such functions take turns,
///   the one with the *fixed weight* of the nearest pole and the *middle way*; each step stays within a bracket that
///   shrinks with every evaluation, and bisects where the model leaves it. Three to five steps are usual.
/// - Source: R.-C. Li, "Solving secular equations stably and efficiently", LAPACK working note 89 (1993); first guess
///   and switching as LAPACK's dlaed4.
struct SecularEquation {
    /// Poles, strictly ascending, and their weights, none zero; n ≥ 1.
    let d: PaddedRun
    let z: PaddedRun
    let rho: Double
    /// ‖z‖².
    private let weight: Double
    private let kernel: Kernel<SecularSums>

    /// λ = d[origin] + offset.
    struct Root {
        var origin: Int
        var offset: Double
    }

    /// Evaluations allowed for one root. Bisection alone would need 1100 for the smallest of numbers.
    static let evaluationLimit = 1200

    init(d: PaddedRun, z: PaddedRun, rho: Double, kernel: Kernel<SecularSums>) {
        self.d = d
        self.z = z
        self.rho = rho
        self.kernel = kernel
        weight = (0..<z.count).reduce(0) { $0 + z[$1] * z[$1] }
    }

    /// Root number i, in ascending order.
    func root(_ i: Int) throws(LinearAlgebraError) -> Root {
        if d.count == 1 { return Root(origin: 0, offset: rho * weight) }
        var state = i == d.count - 1 ? startLast() : startInterior(i)
        var value = evaluate(state)
        var useMiddleWay = false
        for _ in 0..<Self.evaluationLimit {
            if isConverged(value, state) { return state.root }
            if value.f < 0 { state.low = state.root.offset } else { state.high = state.root.offset }
            let next = state.next(step(value, state, middleWay: useMiddleWay))
            if next == state.root.offset { return state.root }
            state.root.offset = next
            let previous = value.f
            value = evaluate(state)
            // A poor reduction, or none of the sign, is the mark of the wrong model.
            if value.f * previous > 0 && value.f.magnitude > 0.1 * previous.magnitude { useMiddleWay.toggle() }
        }
        throw .notConverged(solver: "secular equation", iterations: Self.evaluationLimit)
    }

    /// An iterate: the interval's two poles (for the last root the last two), the root and its bracket.
    private struct State {
        let left: Int
        let right: Int
        var root: Root
        var low: Double
        var high: Double

        /// The offset after a step; where it would leave the bracket, a point within.
        func next(_ step: Double) -> Double {
            let candidate = root.offset + step
            if candidate > low && candidate < high { return candidate }
            // Offsets of one sign may span many orders of magnitude: the geometric mean halves their exponents.
            if low > 0 && high > 4 * low { return (low * high).squareRoot() }
            if high < 0 && low < 4 * high { return -(low * high).squareRoot() }
            let middle = low + 0.5 * (high - low)
            return middle > low && middle < high ? middle : root.offset
        }
    }

    /// f and its parts at an iterate: sums over the poles up to the left one (negative terms, except for the last root)
    /// and from the right one on.
    private struct Value {
        var f = 0.0
        var psi = 0.0, psiSlope = 0.0
        var phi = 0.0, phiSlope = 0.0
    }

    private func evaluate(_ state: State) -> Value {
        var value = sums(below: state.right, from: state.right, d[state.root.origin], state.root.offset)
        value.f = 1 / rho + value.psi + value.phi
        return value
    }

    /// Σ z_j²/(d_j − λ) and Σ (z_j/(d_j − λ))² over the poles below one position and from another on.
    @inline(__always)
    private func sums(below lower: Int, from upper: Int, _ shift: Double, _ offset: Double) -> Value {
        var value = Value()
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 4) { sums in
            guard let base = sums.baseAddress else { return }
            kernel(
                SecularSums(
                    poles: d.base, weights: z.base, count: d.count, lower: lower, upper: upper, origin: shift,
                    offset: offset, sums: base))
            value = Value(psi: base[0], psiSlope: base[1], phi: base[2], phiSlope: base[3])
        }
        return value
    }

    /// Whether f is no more than the rounding of its own evaluation, that of the sums and that of the offset, would be
    /// if numbers had the accuracy asked for.
    private func isConverged(_ value: Value, _ state: State) -> Bool {
        let sums = 1 / rho + value.psi.magnitude + value.phi.magnitude
        let slopes = value.psiSlope + value.phiSlope
        return value.f.magnitude <= Double.ulpOfOne * (2 * sums + 0.5 * state.root.offset.magnitude * slopes)
    }

    /// The step to the root of the model: c + s/(Δ_left − η) + S/(Δ_right − η) = 0.
    private func step(_ value: Value, _ state: State, middleWay: Bool) -> Double {
        let shift = d[state.root.origin], offset = state.root.offset
        let left = (d[state.left] - shift) - offset, right = (d[state.right] - shift) - offset
        let slope = value.psiSlope + value.phiSlope
        let isLast = left < 0 && right < 0
        var c: Double
        if middleWay || isLast {
            c = value.f - left * value.psiSlope - right * value.phiSlope
        } else if state.root.origin == state.left {
            let weight = z[state.left] / left
            c = value.f - right * slope - (d[state.left] - d[state.right]) * weight * weight
        } else {
            let weight = z[state.right] / right
            c = value.f - left * slope - (d[state.right] - d[state.left]) * weight * weight
        }
        let a = (left + right) * value.f - left * right * slope
        let b = left * right * value.f
        if isLast { c = c.magnitude }
        var eta: Double
        if c == 0 {
            eta = a == 0 ? -value.f / slope : b / a
        } else {
            let discriminant = max(a * a - 4 * b * c, 0).squareRoot()
            // For the last root both poles are on the left and the other solution is the one wanted.
            let sign: Double = isLast ? -1 : 1
            if sign * a <= 0 {
                eta = (a - sign * discriminant) / (2 * c)
            } else {
                eta = 2 * b / (a + sign * discriminant)
            }
        }
        // f rises everywhere, so a step of the wrong sign is rounding: Newton's has the right one.
        if value.f * eta >= 0 { eta = -value.f / slope }
        return eta
    }

    // MARK: First guesses

    /// Root of the two nearest poles with the rest of f held at its value in the middle of the interval.
    private func startInterior(_ i: Int) -> State {
        let gap = d[i + 1] - d[i]
        let half = 0.5 * gap
        let others = sums(below: i, from: i + 2, d[i], half)
        let rest = 1 / rho + others.psi + others.phi
        let zl = z[i] * z[i], zr = z[i + 1] * z[i + 1]
        let middle = rest - zl / half + zr / half
        if middle > 0 {
            let offset = Self.quadratic(a: rest * gap + zl + zr, b: zl * gap, c: rest)
            let root = Root(origin: i, offset: Self.within(offset, 0, half))
            return State(left: i, right: i + 1, root: root, low: 0, high: half)
        }
        let offset = Self.quadratic(a: rest * gap - zl - zr, b: -zr * gap, c: rest)
        let root = Root(origin: i + 1, offset: Self.within(offset, -half, 0))
        return State(left: i, right: i + 1, root: root, low: -half, high: 0)
    }

    /// The solution of c·x² − a·x + b = 0 that stays finite as c goes to zero.
    private static func quadratic(a: Double, b: Double, c: Double) -> Double {
        let discriminant = (a * a - 4 * b * c).magnitude.squareRoot()
        if b > 0 { return a > 0 ? 2 * b / (a + discriminant) : (a - discriminant) / (2 * c) }
        return a < 0 ? 2 * b / (a - discriminant) : (a + discriminant) / (2 * c)
    }

    private static func within(_ offset: Double, _ low: Double, _ high: Double) -> Double {
        offset > low && offset < high ? offset : low + 0.5 * (high - low)
    }

    private func startLast() -> State {
        let n = d.count
        let reach = rho * weight
        let gap = d[n - 1] - d[n - 2]
        let rest = 1 / rho + sums(below: n - 2, from: n, d[n - 1], 0.5 * reach).psi
        let zl = z[n - 2] * z[n - 2], zr = z[n - 1] * z[n - 1]
        // rest + zl/(−gap − x) + zr/(−x) = 0, the root above both poles.
        let a = zl + zr - rest * gap, b = zr * gap
        var offset = reach
        if rest > 0 {
            let discriminant = (a * a + 4 * b * rest).squareRoot()
            offset = a < 0 ? 2 * b / (discriminant - a) : (a + discriminant) / (2 * rest)
        }
        let high = reach * (1 + 8 * Double.ulpOfOne)
        if !(offset > 0 && offset < high) { offset = 0.5 * reach }
        return State(left: n - 2, right: n - 1, root: Root(origin: n - 1, offset: offset), low: 0, high: high)
    }
}

import Kernels
import MatrixCore

/// An order of rows and columns in which a MixT form keeps more of a weight.
///
/// The weight matching is a projection, so the energy it keeps is known without the operator, from sums over the
/// copies of every window (S_k, as in `MixTWeightMatching`) and over the first bond of each (O_k):
///
///     ‖W'‖² = Σ_k ‖S_k‖² / d^(N−1)  −  Σ_{k<N−1} ‖O_k‖² / d^N
///
/// Two rows that change places alter two rows of every S_k and O_k only. Pairs are tried at random and changed where
/// the energy rises: rows first, then columns, which are the rows of the transposed problem.
///
/// - Cost: `triesPerRow` · (m + n) trials of about 2·N·n/d^(N−1) numbers a round, one thread; scratch is the weight in
///   Double, twice. Every trial depends on the one before.
/// - Accuracy: a local search: it ends with no more than the energy of the natural order raised.
struct MixTOrderSearch {
    let form: MixTForm
    let seed: UInt64
    var triesPerRow = 64
    var rounds = 2

    struct Found {
        let order: MixTOrder
        /// Shares of ‖W‖², of the weight padded with zeros.
        let naturalEnergy: Double
        let energy: Double
    }

    /// - Parameter weight: W (m × n).
    func order(of weight: MatrixOperand) -> Found {
        var side = Side(form: form, weight: Matrix64(rows: weight.rows, columns: weight.columns) { weight[$0, $1] })
        var rows = Array(0..<form.rows)
        var columns = Array(0..<form.columns)
        let norm = sumOfSquares(weight)
        let natural = side.energy
        for round in 0..<rounds {
            side.improve(&rows, tries: triesPerRow * form.rows, CounterRandom(seed: seed, stream: UInt64(2 * round)))
            var other = side.transposed
            other.improve(
                &columns, tries: triesPerRow * form.columns, CounterRandom(seed: seed, stream: UInt64(2 * round + 1)))
            side = other.transposed
        }
        let share = { norm > 0 ? $0 / norm : 1 }
        return Found(
            order: MixTOrder(rows: rows, columns: columns), naturalEnergy: share(natural), energy: share(side.energy))
    }
}

/// A weight whose rows may change places, and the sums that its energy is made of.
private struct Side {
    let form: MixTForm
    /// (m × n), its rows where the search has them.
    private var weight: Matrix64
    /// S_k (p × q) of every branch.
    private var sums: [Matrix64]
    /// O_k (p/d × q/d) of every branch but the last.
    private var overlaps: [Matrix64]

    init(form: MixTForm, weight: Matrix64) {
        self.form = form
        self.weight = weight
        let count = Double(form.branches)
        sums = form.contract(MatrixOperand(weight)).map { sum in
            Matrix64(rows: sum.rows, columns: sum.columns) { sum[$0, $1] * count }
        }
        let (height, width) = (form.branchRows / form.base, form.branchColumns / form.base)
        overlaps = sums.dropLast().map { sum in
            Matrix64(rows: height, columns: width) { i, j in
                (0..<form.base).reduce(0) { $0 + sum[$1 * height + i, $1 * width + j] }
            }
        }
    }

    var transposed: Side {
        Side(
            form: form.transposed,
            weight: Matrix64(rows: weight.columns, columns: weight.rows) { weight[$1, $0] })
    }

    /// d^(N−1).
    private var copies: Double { Double(form.outer(form.branches - 1)) }

    /// ‖W'‖².
    var energy: Double {
        let whole = sums.reduce(0) { $0 + sumOfSquares(MatrixOperand($1)) } / copies
        return whole - overlaps.reduce(0) { $0 + sumOfSquares(MatrixOperand($1)) } / (copies * Double(form.base))
    }

    /// Changes random pairs of rows where that keeps more; `places` follows.
    mutating func improve(_ places: inout [Int], tries: Int, _ random: CounterRandom) {
        guard form.rows > 1 else { return }
        var change = [Double](repeating: 0, count: form.columns)
        for trial in 0..<tries {
            let first = random.integer(2 * trial, below: form.rows)
            let second = random.integer(2 * trial + 1, below: form.rows)
            guard first != second else { continue }
            let (one, other) = (weight.row(first), weight.row(second))
            for j in change.indices { change[j] = other[j] - one[j] }
            let before = energy(around: first, second)
            add(1, change, toWindowOf: first)
            add(-1, change, toWindowOf: second)
            if energy(around: first, second) > before {
                places.swapAt(first, second)
                let (one, other) = (weight.mutableRow(first), weight.mutableRow(second))
                for j in change.indices { swap(&one[j], &other[j]) }
            } else {
                add(-1, change, toWindowOf: first)
                add(1, change, toWindowOf: second)
            }
        }
    }

    /// The part of the energy that depends on two rows.
    private func energy(around first: Int, _ second: Int) -> Double {
        let kernels = VectorKernels<Double>()
        let height = form.branchRows / form.base
        var energy = 0.0
        for k in 0..<form.branches {
            let rows = places(k, first, second)
            for i in rows {
                let sum = sums[k].row(i)
                energy += kernels.dot(sum, sum, form.branchColumns) / copies
            }
            guard k < overlaps.count else { continue }
            for i in Set(rows.map { $0 % height }).sorted() {
                let overlap = overlaps[k].row(i)
                energy -= kernels.dot(overlap, overlap, overlaps[k].columns) / (copies * Double(form.base))
            }
        }
        return energy
    }

    /// The rows of S_k that two rows of the weight are part of.
    private func places(_ k: Int, _ first: Int, _ second: Int) -> [Int] {
        let (i, j) = (form.windowRow(k, first), form.windowRow(k, second))
        return i == j ? [i] : [i, j]
    }

    /// The sums gain a change of row `row`.
    private mutating func add(_ sign: Double, _ change: [Double], toWindowOf row: Int) {
        for k in 0..<form.branches { add(sign, change, toWindowOf: row, k) }
    }

    private mutating func add(_ sign: Double, _ change: [Double], toWindowOf row: Int, _ k: Int) {
        let inner = form.inner(k)
        let height = form.branchRows / form.base
        let width = form.branchColumns / form.base
        let start = row / (form.branchRows * inner) * form.branchColumns * inner + row % inner
        let i = form.windowRow(k, row)
        let bond = i / height
        let target = sums[k].mutableRow(i)
        let inside = start < form.columns ? (form.columns - start + inner - 1) / inner : 0
        for j in 0..<min(form.branchColumns, inside) { target[j] += sign * change[start + j * inner] }
        guard k < overlaps.count else { return }
        let overlap = overlaps[k].mutableRow(i % height)
        for j in 0..<width where bond * width + j < inside {
            overlap[j] += sign * change[start + (bond * width + j) * inner]
        }
    }
}

extension MixTForm {
    /// The row of T_k that works on a row of the weight.
    fileprivate func windowRow(_ k: Int, _ row: Int) -> Int { row % (branchRows * inner(k)) / inner(k) }
}

extension DenseMatrix {
    fileprivate func row(_ i: Int) -> UnsafePointer<Element> { UnsafePointer(view.base + i * view.rowStride) }

    fileprivate mutating func mutableRow(_ i: Int) -> UnsafeMutablePointer<Element> {
        let view = mutableView()
        return view.base + i * view.rowStride
    }
}

import KernelContract
import Kernels
import MatrixCore

/// Applies the reflectors of a bulge chase to eigenvectors of the tridiagonal matrix: X ← Q X.
///
/// Reflectors of g neighbouring sweeps at the same step overlap but for one row each; together they are one block
/// I − V T Vᵀ with V (b + g × g) a parallelogram. Reflectors of one sweep touch disjoint rows, and (s, step) meets a
/// later sweep only at its own step and the one before, so within a group the steps may be taken one after another,
/// first step first, and groups from the last to the first.
///
/// - Method: X is copied into panels of a few columns that lie without gaps. In rounds of some groups of sweeps, the
///   blocks V and T are made, then each thread takes panels through all blocks of the round: the blocks of a round and
///   a panel stay in cache.
/// - Cost: 2 n² c (1 + (g + 24)/4b) flops for c columns; scratch is a copy of X and the blocks of a round.
/// - Source: Haidar, Solcà, Gates, Tomov, Schulthess and Dongarra, "A novel hybrid CPU–GPU generalized eigensolver",
///   2014, §4 (diamond-shaped blocks).
struct BulgeReflectors<Source: FactorScalar> {
    let size: Int
    /// b, a multiple of eight.
    let bandwidth: Int
    /// g, sweeps of a block, a multiple of eight.
    let sweepsPerBlock: Int
    /// Reflectors as `BulgeChase` leaves them (n × n, right of the diagonal).
    let vectors: MatrixView<Source>
    /// τ (sweeps × steps).
    let taus: MatrixView<Source>

    /// Blocks of a round fill a good part of the last-level cache.
    private static var bytesPerRound: Int { 8 << 20 }
    /// Panels that a thread takes through a round together.
    private static var panelsPerPiece: Int { 2 }

    private var sweeps: Int { ChaseShape.sweeps(size: size) }
    private var groups: Int { (sweeps + sweepsPerBlock - 1) / sweepsPerBlock }
    private var steps: Int { ChaseShape.steps(size: size, bandwidth: bandwidth) }
    private var blockRows: Int { bandwidth + sweepsPerBlock }
    /// Numbers of V and T of one block.
    private var blockCount: Int { (blockRows + sweepsPerBlock) * sweepsPerBlock }
    private var groupsPerRound: Int {
        max(1, min(groups, Self.bytesPerRound / (steps * blockCount * MemoryLayout<Double>.stride)))
    }

    func scratchBytes(columns: Int) -> Int {
        let panels = ReflectorPanels<Double>.count(rows: size + blockRows, columns: columns)
        let round = groupsPerRound * steps * blockCount
        let perThread = makingCount + sweepsPerBlock * ReflectorPanels<Double>.width
        return (panels + round + Threads.count * perThread) * MemoryLayout<Double>.stride
    }

    /// result ← Q X, both (n × c); they may be the same. The products are computed in the type of the result.
    func apply<Element: FactorScalar>(to x: MatrixView<Double>, into result: MutableMatrixView<Element>) {
        precondition(bandwidth % 8 == 0 && sweepsPerBlock % 8 == 0, "blocks are made of groups of eight reflectors")
        guard x.columns > 0 else { return }
        let panels = ReflectorPanels<Element>(copying: x, extraRows: blockRows)
        let blocks = AlignedBuffer<Element>(uninitializedCount: groupsPerRound * steps * blockCount)
        for end in stride(from: groups, to: 0, by: -groupsPerRound) {
            let round = max(0, end - groupsPerRound)..<end
            make(round, blocks)
            apply(round, blocks, to: panels)
        }
        panels.copy(into: result)
    }

    /// Steps of the longest sweep of a group, its first.
    private func stepCount(_ group: Int) -> Int { (size - group * sweepsPerBlock - 2) / bandwidth + 1 }

    private func firstRow(_ group: Int, _ step: Int) -> Int { group * sweepsPerBlock + 1 + step * bandwidth }

    private func block<Element>(_ blocks: AlignedBuffer<Element>, _ round: Range<Int>, _ group: Int, _ step: Int)
        -> (v: MutableMatrixView<Element>, t: MutableMatrixView<Element>)
    {
        let g = sweepsPerBlock
        let base = blocks.base + ((group - round.lowerBound) * steps + step) * blockCount
        return (
            MutableMatrixView(base: base, rows: blockRows, columns: g, rowStride: g, owner: blocks),
            MutableMatrixView(base: base + blockRows * g, rows: g, columns: g, rowStride: g, owner: blocks)
        )
    }

    /// Numbers that making a block takes: its own V and T where they are then rounded, VᵀV and τ.
    private var makingCount: Int { blockCount + (sweepsPerBlock + 1) * sweepsPerBlock }

    /// Makes V and T of all blocks of a round, in the type of the source, and rounds them where that is another.
    private func make<Element: FactorScalar>(_ round: Range<Int>, _ blocks: AlignedBuffer<Element>) {
        let kernel = Source.reflectorKernels.makeBlock
        let g = sweepsPerBlock
        let isRounded = Source.self != Element.self
        parallelFor(round.count * steps) { index in
            let group = round.lowerBound + index / steps
            let step = index % steps
            guard step < stepCount(group) else { return }
            let first = firstRow(group, step)
            let (v, t) = block(blocks, round, group, step)
            withUnsafeTemporaryAllocation(of: Source.self, capacity: makingCount) { scratch in
                guard let base = scratch.baseAddress else { return }
                let own = (v: base + (g + 1) * g, t: base + (g + 1) * g + blockRows * g)
                let direct = (v: UnsafeMutableRawPointer(v.base), t: UnsafeMutableRawPointer(t.base))
                let target = isRounded ? (v: UnsafeMutableRawPointer(own.v), t: UnsafeMutableRawPointer(own.t)) : direct
                kernel(
                    StaggeredBlock(
                        reflectors: vectors.base + group * g * vectors.rowStride + first, rowStride: vectors.rowStride,
                        width: size - first, present: min(g, sweeps - group * g),
                        taus: taus.base + group * g * taus.rowStride + step, tausStride: taus.rowStride,
                        length: bandwidth, count: g, v: target.v, t: target.t, work: base))
                guard isRounded else { return }
                let ownV = MatrixView(base: own.v, rows: blockRows, columns: g, rowStride: g)
                let ownT = MatrixView(base: own.t, rows: g, columns: g, rowStride: g)
                convert(MatrixOperand(ownV), into: MutableMatrixOperand(v))
                convert(MatrixOperand(ownT), into: MutableMatrixOperand(t))
            }
        }
    }

    /// Takes all panels through the blocks of a round: groups from the last, steps from the first.
    private func apply<Element: FactorScalar>(
        _ round: Range<Int>, _ blocks: AlignedBuffer<Element>, to panels: ReflectorPanels<Element>
    ) {
        let kernel = Element.reflectorKernels.applyBlock
        let pieces = (panels.count + Self.panelsPerPiece - 1) / Self.panelsPerPiece
        parallelFor(pieces) { piece in
            let chosen = piece * Self.panelsPerPiece..<min((piece + 1) * Self.panelsPerPiece, panels.count)
            let bytes = sweepsPerBlock * ReflectorPanels<Element>.width * MemoryLayout<Element>.stride
            withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 64) { memory in
                guard let work = memory.baseAddress else { return }
                for group in round.reversed() {
                    for step in 0..<stepCount(group) {
                        let (v, t) = block(blocks, round, group, step)
                        for panel in chosen {
                            kernel(
                                StaggeredReflectors(
                                    v: v.base, t: t.base, x: panels.row(firstRow(group, step), of: panel),
                                    length: bandwidth, count: sweepsPerBlock, work: work))
                        }
                    }
                }
            }
        }
    }
}

/// A matrix cut into panels of a few columns, each without gaps, with rows of zeros below.
struct ReflectorPanels<Element: FactorScalar>: @unchecked Sendable {
    static var width: Int { StaggeredReflectors.panelColumns(elementBytes: MemoryLayout<Element>.stride) }

    let count: Int
    private let rows: Int
    private let columns: Int
    /// (rows + extraRows) · width.
    private let panelCount: Int
    private let buffer: AlignedBuffer<Element>

    /// Numbers of all panels, extra rows included.
    static func count(rows: Int, columns: Int) -> Int { (columns + width - 1) / width * rows * width }

    init(copying x: MatrixView<Double>, extraRows: Int) {
        rows = x.rows
        columns = x.columns
        count = (x.columns + Self.width - 1) / Self.width
        panelCount = (x.rows + extraRows) * Self.width
        buffer = AlignedBuffer(uninitializedCount: count * panelCount)
        parallelFor(count) { [self] panel in
            let target = filled(panel)
            convert(MatrixOperand(x.columns(chosen(panel))), into: MutableMatrixOperand(target))
            for i in 0..<rows where target.columns < Self.width {
                (row(i, of: panel) + target.columns).update(repeating: 0, count: Self.width - target.columns)
            }
            row(rows, of: panel).update(repeating: 0, count: extraRows * Self.width)
        }
    }

    func row(_ i: Int, of panel: Int) -> UnsafeMutablePointer<Element> {
        buffer.base + panel * panelCount + i * Self.width
    }

    func copy(into x: MutableMatrixView<Element>) {
        parallelFor(count) { panel in
            convert(
                MatrixOperand(filled(panel).readable), into: MutableMatrixOperand(x.columns(chosen(panel))))
        }
    }

    /// The columns of the matrix that a panel holds.
    private func chosen(_ panel: Int) -> Range<Int> {
        panel * Self.width..<min((panel + 1) * Self.width, columns)
    }

    /// The part of a panel that is the matrix's (rows × chosen columns).
    private func filled(_ panel: Int) -> MutableMatrixView<Element> {
        MutableMatrixView(
            base: row(0, of: panel), rows: rows, columns: chosen(panel).count, rowStride: Self.width, owner: buffer)
    }
}

import KernelContract
import Kernels
import MatrixCore

/// Applies the reflectors of a band reduction to vectors: X ← Q X.
///
/// Each panel p of the reduction is a block I − V_p T_p V_pᵀ of b reflectors.
///
/// - Method: X lies in panels of a few columns. In rounds of some blocks, V_p is copied to where its rows have no gaps,
///   then each thread takes panels of X through all blocks of the round, a chunk of rows after the other: those of V_p
///   and of X stay in the first cache. V_pᵀ X goes down the rows and X − V_p (…) comes up again, so that what was
///   used last is used first.
/// - Cost: 2 n² c flops for c columns; scratch is the blocks of two rounds.
/// - Source: Schreiber and Van Loan, "A storage-efficient WY representation for products of Householder
///   transformations", 1989.
struct PanelReflectors<Source: FactorScalar> {
    let size: Int
    /// b, a multiple of eight.
    let bandwidth: Int
    /// V_p (n − (p + 1) b × b) below the diagonal block of columns p b … (p + 1) b; the rest of it is not read.
    let vectors: MatrixView<Source>
    /// T_p (b × b) one below the other.
    let triangularFactors: MatrixView<Source>

    /// How large the blocks of a round may be; those of two rounds should leave room in the last-level cache.
    let bytesPerRound: Int

    /// Rows of V_p that are taken together, so that they fill a third of the first cache.
    private static var bytesPerChunk: Int { 16 << 10 }
    /// Rows of V_p that are copied at a time.
    private static var strip: Int { 256 }

    private var blocks: Int { BandShape.panels(size: size, bandwidth: bandwidth) }
    /// Numbers of T and V of the first block, rows of zeros up to a multiple of eight included.
    private var slotCount: Int { (paddedRows(0) + bandwidth) * bandwidth }
    private func blocksPerRound<Element>(_: Element.Type) -> Int {
        max(1, min(blocks, bytesPerRound / (slotCount * MemoryLayout<Element>.stride)))
    }

    /// Bytes besides the panels of X.
    var scratchBytes: Int {
        guard blocks > 0 else { return 0 }
        let perThread = bandwidth * ReflectorPanels<Double>.width
        let round = blocksPerRound(Double.self) * slotCount
        return (2 * round + Threads.count * perThread) * MemoryLayout<Double>.stride
    }

    /// X ← Q X for X (n × c) in panels with at least seven rows of zeros.
    func apply<Element: FactorScalar>(to panels: ReflectorPanels<Element>) {
        precondition(bandwidth % 8 == 0, "blocks are made of groups of eight reflectors")
        guard blocks > 0 else { return }
        let perRound = blocksPerRound(Element.self)
        let half = perRound * slotCount
        let copies = AlignedBuffer<Element>(uninitializedCount: 2 * half)
        ReflectorRounds(count: blocks, perRound: perRound, pieces: panels.count).run(
            tasks: { $0.count * strips($0) },
            make: { copy($0, to: copies.base + $1 * half, task: $2) },
            apply: { apply($0, copies.base + $1 * half, panel: $2, of: panels) })
    }

    private func rows(_ block: Int) -> Int { size - (block + 1) * bandwidth }

    private func paddedRows(_ block: Int) -> Int { (rows(block) + 7) / 8 * 8 }

    /// Strips of rows that V of a block is copied in, for the first of a round, which has the most.
    private func strips(_ round: Range<Int>) -> Int { (rows(round.lowerBound) + Self.strip - 1) / Self.strip }

    /// T (b × b) and V (padded rows × b) of a block of a round.
    private func slot<Element>(_ copies: UnsafeMutablePointer<Element>, _ round: Range<Int>, _ block: Int)
        -> (t: UnsafeMutablePointer<Element>, v: UnsafeMutablePointer<Element>)
    {
        let base = copies + (block - round.lowerBound) * slotCount
        return (base, base + bandwidth * bandwidth)
    }

    /// One strip of V of one block, rounded where the types differ, and T with the last.
    private func copy<Element: FactorScalar>(_ round: Range<Int>, to copies: UnsafeMutablePointer<Element>, task: Int) {
        let b = bandwidth
        let block = round.lowerBound + task / strips(round)
        let first = task % strips(round) * Self.strip
        let end = min(first + Self.strip, rows(block))
        guard first < end else { return }
        let (t, v) = slot(copies, round, block)
        func move(_ source: MatrixView<Source>, to target: UnsafeMutablePointer<Element>) {
            let view = MutableMatrixView(base: target, rows: source.rows, columns: b, rowStride: b)
            convert(MatrixOperand(source), into: MutableMatrixOperand(view))
        }
        let row = (block + 1) * b
        move(vectors.block(rows: row + first..<row + end, columns: row - b..<row), to: v + first * b)
        guard end == rows(block) else { return }
        (v + end * b).update(repeating: 0, count: (paddedRows(block) - end) * b)
        move(triangularFactors.rows(row - b..<row), to: t)
    }

    /// Takes a panel of X through the blocks of a round, from the last.
    private func apply<Element: FactorScalar>(
        _ round: Range<Int>, _ copies: UnsafeMutablePointer<Element>, panel: Int, of panels: ReflectorPanels<Element>
    ) {
        let bytes = bandwidth * ReflectorPanels<Element>.width * MemoryLayout<Element>.stride
        withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 64) { memory in
            guard let work = memory.baseAddress else { return }
            for block in round.reversed() {
                work.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
                let (t, v) = slot(copies, round, block)
                apply(block, (t, v), to: panels.row((block + 1) * bandwidth, of: panel), work)
            }
        }
    }

    /// One block on the rows of a panel that it touches; `work` (b × columns of a panel) is zero.
    private func apply<Element: FactorScalar>(
        _ block: Int, _ factors: (t: UnsafeMutablePointer<Element>, v: UnsafeMutablePointer<Element>),
        to x: UnsafeMutablePointer<Element>, _ work: UnsafeMutableRawPointer
    ) {
        let kernels = Element.reflectorKernels
        let chunk = max(8, Self.bytesPerChunk / (bandwidth * MemoryLayout<Element>.stride) / 8 * 8)
        let chunks = (rows(block) + chunk - 1) / chunk
        /// Chunk `index`, which `next` follows.
        func task(_ index: Int, next: Int) -> ReflectorRows {
            let (row, nextRow) = (index * chunk, next * chunk)
            return ReflectorRows(
                v: factors.v + row * bandwidth, rowsAbove: row, x: x + row * ReflectorPanels<Element>.width,
                rows: min(chunk, rows(block) - row), count: bandwidth, work: work,
                nextV: factors.v + nextRow * bandwidth, nextX: x + nextRow * ReflectorPanels<Element>.width)
        }
        for index in 0..<chunks { kernels.projectRows(task(index, next: min(index + 1, chunks - 1))) }
        kernels.mix(ReflectorMixing(t: factors.t, work: work, count: bandwidth))
        for index in (0..<chunks).reversed() { kernels.subtractRows(task(index, next: max(index - 1, 0))) }
    }
}

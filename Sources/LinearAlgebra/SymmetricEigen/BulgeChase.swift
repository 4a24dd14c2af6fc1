import MatrixCore

/// Second stage of the two-stage reduction: B = Q T Qᵀ with B a band matrix and T tridiagonal.
///
/// Sweep s annihilates column s below its first subdiagonal with one reflector on rows s + 1 … s + b; applied from both
/// sides it makes a bulge b rows further down, whose first column the next reflector (step 1) annihilates, and so on to
/// the end of the band. The rest of the bulge is left to the next sweep.
///
/// - Output: T in the band, reflector (s, step) in row s of `vectors` at columns s + 1 + step · b … (v₀ = 1 included),
///   its τ in `taus[s, step]`. Only columns right of the diagonal of `vectors` are written.
/// - Cost: about 7 n² b flops on blocks that stay in cache; no scratch but a few rows.
/// - Source: Murata and Horikoshi, 1975; Lang, "A parallel algorithm for reducing symmetric banded matrices to
///   tridiagonal form", 1993; Haidar, Ltaief and Dongarra, SC 2011.
struct BulgeChase {
    let size: Int
    let bandwidth: Int
    /// τ (sweeps × steps).
    private(set) var taus: Matrix64

    init(size: Int, bandwidth: Int) {
        self.size = size
        self.bandwidth = bandwidth
        taus = Matrix64(rows: Self.sweeps(size: size), columns: Self.steps(size: size, bandwidth: bandwidth))
    }

    static func sweeps(size: Int) -> Int { max(0, size - 2) }

    /// Steps of the longest sweep, the first.
    static func steps(size: Int, bandwidth: Int) -> Int {
        max(0, (size - 1 + bandwidth - 1) / bandwidth)
    }

    static func scratchBytes(size: Int, bandwidth: Int) -> Int {
        sweeps(size: size) * steps(size: size, bandwidth: bandwidth) * MemoryLayout<Double>.stride
    }

    /// Chases all sweeps; `vectors` (n × n) takes the reflectors right of its diagonal.
    mutating func run(_ band: BandMatrix, vectors: MutableMatrixView<Double>) {
        let factors = taus.mutableView()
        var step = ChaseStep(band: band)
        for sweep in 0..<Self.sweeps(size: size) {
            let row = vectors.base + sweep * vectors.rowStride
            for index in 0..<((size - sweep - 2) / bandwidth + 1) {
                factors[sweep, index] = step.run(sweep: sweep, step: index, reflector: row)
            }
        }
    }
}

/// One step of one sweep: the reflector of the step before meets the block below the diagonal, its first column makes
/// the new reflector, and that one is applied to the block and to the next diagonal block.
private struct ChaseStep {
    let band: BandMatrix
    /// Reflectors, padded with zeros to whole vectors on both sides (bandwidth + 16).
    private var previous: AlignedBuffer<Double>
    private var current: AlignedBuffer<Double>
    private var previousTau = 0.0
    /// Products with the rows and with the columns of a block.
    private let rowProducts: AlignedBuffer<Double>
    private let columnProducts: AlignedBuffer<Double>

    init(band: BandMatrix) {
        self.band = band
        let count = band.bandwidth + 16
        previous = AlignedBuffer(count: count, repeating: 0)
        current = AlignedBuffer(count: count, repeating: 0)
        rowProducts = AlignedBuffer(count: count, repeating: 0)
        columnProducts = AlignedBuffer(count: count, repeating: 0)
    }

    /// - Parameter row: row `sweep` of the matrix of reflectors.
    /// - Returns: τ of the new reflector.
    mutating func run(sweep: Int, step: Int, reflector row: UnsafeMutablePointer<Double>) -> Double {
        let b = band.bandwidth
        let first = sweep + 1 + step * b
        let length = min(b, band.size - first)
        let offset = (sweep + 1) % 8
        swap(&previous, &current)
        current.base.update(repeating: 0, count: current.count)
        let v = current.base + offset
        let tau: Double
        if step == 0 {
            tau = annihilateColumn(sweep, length: length, into: v)
        } else {
            tau = chaseBlock(first, length: length, offset: offset)
        }
        (row + first).update(from: v, count: length)
        previousTau = tau
        applyToDiagonalBlock(first, length: length, offset: offset, tau: tau)
        return tau
    }

    /// Step 0: the reflector of column `sweep` below its first subdiagonal.
    private func annihilateColumn(_ sweep: Int, length: Int, into v: UnsafeMutablePointer<Double>) -> Double {
        let stride = band.rowStride
        let column = band.origin + (sweep + 1) * stride + sweep
        for i in 0..<length { v[i] = column[i * stride] }
        let (tau, beta) = makeReflector(v, count: length)
        column[0] = beta
        for i in 1..<max(1, length) { column[i * stride] = 0 }
        return tau
    }

    /// Later steps: block (length × b) ← H block Hprevious with H made from its first column after Hprevious.
    private func chaseBlock(_ first: Int, length: Int, offset: Int) -> Double {
        let b = band.bandwidth
        let stride = band.rowStride
        let vectors = (offset + b + 7) / 8
        let block = band.origin + first * stride + (first - b - offset)
        let u = rowProducts.base
        let v = current.base + offset
        multiplyRows(block, length, vectors, by: previous.base, scale: previousTau, into: u)
        for i in 0..<length { v[i] = block[i * stride + offset] - u[i] }
        let (tau, beta) = makeReflector(v, count: length)

        // z = τ (blockᵀ v − (uᵀv) previous), zero in the margins.
        let z = columnProducts.base
        multiplyColumns(block, length, vectors, by: v, into: z)
        var overlap = 0.0
        for i in 0..<length { overlap += u[i] * v[i] }
        for j in 0..<offset { z[j] = 0 }
        for j in offset..<(offset + b) { z[j] = tau * (z[j] - overlap * previous.base[j]) }
        for j in (offset + b)..<(vectors * 8) { z[j] = 0 }
        subtractPairs(block, length, vectors, (u, previous.base), (v, z))
        block[offset] = beta
        for i in 1..<max(1, length) { block[i * stride + offset] = 0 }
        return tau
    }

    /// Diagonal block (length × length) ← H block H; both its triangles are kept.
    private func applyToDiagonalBlock(_ first: Int, length: Int, offset: Int, tau: Double) {
        let stride = band.rowStride
        let vectors = (offset + length + 7) / 8
        let block = band.origin + first * stride + (first - offset)
        // The last column is new to the diagonal block; up to now its row alone was kept up to date.
        let last = offset + length - 1
        for i in 0..<(length - 1) { block[i * stride + last] = block[(length - 1) * stride + offset + i] }
        guard tau != 0 else { return }
        let v = current.base
        let u = columnProducts.base
        multiplyColumns(block, length, vectors, by: v + offset, into: u)
        for j in 0..<offset { u[j] = 0 }
        for j in (offset + length)..<(vectors * 8) { u[j] = 0 }
        var overlap = 0.0
        for j in offset..<(offset + length) { overlap += u[j] * v[j] }
        let half = 0.5 * tau * overlap
        for j in offset..<(offset + length) { u[j] = tau * (u[j] - half * v[j]) }
        subtractPairs(block, length, vectors, (v + offset, u), (u + offset, v))
    }

    /// v ← reflector of v, v₀ = 1.
    private func makeReflector(_ v: UnsafeMutablePointer<Double>, count: Int) -> (tau: Double, beta: Double) {
        var square = 0.0
        for i in 1..<max(1, count) { square += v[i] * v[i] }
        let reflector = ReflectorFactors(head: v[0], tailSquare: square)
        for i in 1..<max(1, count) { v[i] *= reflector.scale }
        v[0] = 1
        return (reflector.tau, reflector.beta)
    }

    /// products ← scale · block · x, block (rows × 8 · vectors).
    private func multiplyRows(
        _ block: UnsafePointer<Double>, _ rows: Int, _ vectors: Int, by x: UnsafePointer<Double>, scale: Double,
        into products: UnsafeMutablePointer<Double>
    ) {
        for i in 0..<rows {
            let row = block + i &* band.rowStride
            var sum = SIMD8<Double>.zero
            for j in 0..<vectors { sum += loadVector(row + 8 &* j) * loadVector(x + 8 &* j) }
            products[i] = scale * sum.sum()
        }
    }

    /// products ← blockᵀ · x, block (rows × 8 · vectors).
    private func multiplyColumns(
        _ block: UnsafePointer<Double>, _ rows: Int, _ vectors: Int, by x: UnsafePointer<Double>,
        into products: UnsafeMutablePointer<Double>
    ) {
        for j in 0..<vectors {
            var sum = SIMD8<Double>.zero
            let column = block + 8 &* j
            for i in 0..<rows { sum += x[i] * loadVector(column + i &* band.rowStride) }
            storeVector(sum, products + 8 &* j)
        }
    }

    /// block ← block − x₁ y₁ᵀ − x₂ y₂ᵀ, block (rows × 8 · vectors).
    private func subtractPairs(
        _ block: UnsafeMutablePointer<Double>, _ rows: Int, _ vectors: Int,
        _ first: (x: UnsafeMutablePointer<Double>, y: UnsafeMutablePointer<Double>),
        _ second: (x: UnsafeMutablePointer<Double>, y: UnsafeMutablePointer<Double>)
    ) {
        for i in 0..<rows {
            let row = block + i &* band.rowStride
            let (x1, x2) = (first.x[i], second.x[i])
            for j in 0..<vectors {
                let update = x1 * loadVector(first.y + 8 &* j) + x2 * loadVector(second.y + 8 &* j)
                storeVector(loadVector(row + 8 &* j) - update, row + 8 &* j)
            }
        }
    }
}

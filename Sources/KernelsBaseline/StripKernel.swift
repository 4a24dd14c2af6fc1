import KernelContract

// Strips of eight columns of a panel: one row of a strip is one vector of the widest instruction set.

private typealias Row = SIMD8<Double>

private let width = 8

var factorPanelStrip: Kernel<StripFactorization> {
    Kernel { factor($0.load(as: StripFactorization.self)) }
}

var updatePanelStrips: Kernel<StripUpdate> {
    Kernel { update($0.load(as: StripUpdate.self)) }
}

var readPanelStrips: Kernel<StripTransfer> {
    Kernel { pointer in
        let task = pointer.load(as: StripTransfer.self)
        if task.format == StorageFormat.float64 {
            transfer(task, Double.self) { $1.pointee = $0.pointee }
        } else {
            transfer(task, Float.self) { $1.pointee = Double($0.pointee) }
        }
    }
}

var writePanelStrips: Kernel<StripTransfer> {
    Kernel { pointer in
        let task = pointer.load(as: StripTransfer.self)
        if task.format == StorageFormat.float64 {
            transfer(task, Double.self) { $0.pointee = $1.pointee }
        } else {
            transfer(task, Float.self) { $0.pointee = Float($1.pointee) }
        }
    }
}

/// Hands every element of the matrix, with its place in the strips, to `move`.
@inline(__always)
private func transfer<Scalar>(
    _ task: StripTransfer, _: Scalar.Type, _ move: (UnsafeMutablePointer<Scalar>, UnsafeMutablePointer<Double>) -> Void
) {
    let matrix = task.matrix.assumingMemoryBound(to: Scalar.self)
    for i in 0..<task.rows {
        var row = matrix + i &* task.rowStride
        var strip = task.strips + i &* width
        for _ in 0..<task.count {
            for j in 0..<width { move(row + j, strip + j) }
            row += width
            strip += task.stripStride
        }
    }
}

@inline(__always)
private func factor(_ task: StripFactorization) {
    reduceColumns(task)
    splitTriangle(task)
    // The products of the reflectors pass through the place of T.
    products(task.strip, task.strip, rows: task.rows, stride: task.rowStride, into: task.t)
    makeTriangularFactor(task.t, task.taus)
}

/// One pass a column: it applies the reflector of the column before and gathers the products of its own.
@inline(__always)
private func reduceColumns(_ task: StripFactorization) {
    var scale = 0.0
    var change = Row.zero
    for q in 0..<width {
        task.taus[q] = 0
        if q >= task.rows { continue }
        let top = task.strip + q &* task.rowStride
        if q > 0 {
            let v = top[q &- 1] * scale
            store(multiplyAdd(load(top), Row(repeating: -v), change), top)
            top[q &- 1] = v
        }
        let sums = applyAndGather(task, q, scale, change)
        let head = top[q]
        var (tau, beta) = (0.0, head)
        scale = 0
        if sums[q] > task.negligibleSquare {
            let norm = (head * head + sums[q]).squareRoot()
            beta = head > 0 ? -norm : norm
            tau = (beta - head) / beta
            scale = 1 / (head - beta)
        }
        task.taus[q] = tau
        change = (load(top) + sums * scale) * tau
        for l in 0...q { change[l] = 0 }
        store(load(top) - change, top)
        top[q] = beta
    }
    let place = lane(width &- 1)
    var i = width
    while i < task.rows {
        let row = task.strip + i &* task.rowStride
        let v = Row(repeating: row[width &- 1] * scale)
        var changed = multiplyAdd(load(row), -v, change)
        changed.replace(with: v, where: place)
        store(changed, row)
        i &+= 1
    }
}

@inline(__always)
private func lane(_ index: Int) -> SIMDMask<SIMD8<Int64>> {
    Row(0, 1, 2, 3, 4, 5, 6, 7) .== Row(repeating: Double(index))
}

/// Applies the reflector of column q − 1 to the rows below row q, and returns their Σ row[q] · row.
///
/// row ← row − v · change with v = scale · row[q − 1], which takes the place of row[q − 1]. A row is read once and
/// written once: what is changed in memory in parts cannot be read back as a whole before it has got there.
@inline(__always)
private func applyAndGather(_ task: StripFactorization, _ q: Int, _ scale: Double, _ change: Row) -> Row {
    var (even, odd) = (Row.zero, Row.zero)
    var row = task.strip + (q &+ 1) &* task.rowStride
    var i = q &+ 1
    if q == 0 {
        while i &+ 2 <= task.rows {
            let next = row + task.rowStride
            even = multiplyAdd(even, Row(repeating: row[0]), load(row))
            odd = multiplyAdd(odd, Row(repeating: next[0]), load(next))
            row = next + task.rowStride
            i &+= 2
        }
        if i < task.rows { even = multiplyAdd(even, Row(repeating: row[0]), load(row)) }
        return even + odd
    }
    let place = lane(q &- 1)
    let changes = (scale: scale, row: change, own: Row(repeating: change[q]))
    while i &+ 2 <= task.rows {
        let next = row + task.rowStride
        even = applyAndGather(row, q, changes, place, even)
        odd = applyAndGather(next, q, changes, place, odd)
        row = next + task.rowStride
        i &+= 2
    }
    if i < task.rows { even = applyAndGather(row, q, changes, place, even) }
    return even + odd
}

/// The same for one row; `change` is (scale, change, change[q] in all places).
@inline(__always)
private func applyAndGather(
    _ row: UnsafeMutablePointer<Double>, _ q: Int, _ change: (scale: Double, row: Row, own: Row),
    _ place: SIMDMask<SIMD8<Int64>>, _ sum: Row
) -> Row {
    let v = Row(repeating: row[q &- 1] * change.scale)
    let own = multiplyAdd(Row(repeating: row[q]), -v, change.own)
    var changed = multiplyAdd(load(row), -v, change.row)
    changed.replace(with: v, where: place)
    store(changed, row)
    return multiplyAdd(sum, own, changed)
}

/// Moves R out of the strip and writes the ones and zeros of V in its place.
@inline(__always)
private func splitTriangle(_ task: StripFactorization) {
    for i in 0..<min(width, task.rows) {
        for j in i..<width {
            let element = task.strip + (i &* task.rowStride &+ j)
            task.upper[i &* task.upperStride &+ j] = element.pointee
            element.pointee = i == j ? 1 : 0
        }
    }
}

/// Replaces the products VᵀV by T: its column j is −τ T (VᵀV)_j above the diagonal and τ on it.
@inline(__always)
private func makeTriangularFactor(_ t: UnsafeMutablePointer<Double>, _ taus: UnsafePointer<Double>) {
    for j in 0..<width {
        // Row i needs the products of rows i and below only, so they are overwritten from the top.
        for i in 0..<j {
            var sum = 0.0
            for l in i..<j { sum += t[i &* width &+ l] * t[l &* width &+ j] }
            t[i &* width &+ j] = -taus[j] * sum
        }
        t[j &* width &+ j] = taus[j]
        for i in (j &+ 1)..<width { t[i &* width &+ j] = 0 }
    }
}

@inline(__always)
private func update(_ task: StripUpdate) {
    for strip in 0..<task.strips {
        let x = task.x + strip &* width
        let c = task.work
        products(task.v, x, rows: task.rows, stride: task.rowStride, into: c)
        // c ← Tᵀ c, from the last row up, so that the rows above are still unmixed.
        var i = width &- 1
        while i >= 0 {
            var mixed = Row.zero
            for l in 0...i {
                mixed = multiplyAdd(mixed, Row(repeating: -task.t[l &* width &+ i]), load(c + l &* width))
            }
            store(mixed, c + i &* width)
            i &-= 1
        }
        let (c0, c1, c2, c3) = (load(c), load(c + 8), load(c + 16), load(c + 24))
        let (c4, c5, c6, c7) = (load(c + 32), load(c + 40), load(c + 48), load(c + 56))
        var left = task.v
        var right = x
        for _ in 0..<task.rows {
            var row = load(right)
            var other = Row(repeating: left[4]) * c4
            row = multiplyAdd(row, Row(repeating: left[0]), c0)
            row = multiplyAdd(row, Row(repeating: left[1]), c1)
            row = multiplyAdd(row, Row(repeating: left[2]), c2)
            row = multiplyAdd(row, Row(repeating: left[3]), c3)
            other = multiplyAdd(other, Row(repeating: left[5]), c5)
            other = multiplyAdd(other, Row(repeating: left[6]), c6)
            other = multiplyAdd(other, Row(repeating: left[7]), c7)
            store(row + other, right)
            left += task.rowStride
            right += task.rowStride
        }
    }
}

/// out (8 × 8) ← Vᵀ X for two strips V and X (rows × 8).
@inline(__always)
private func products(
    _ v: UnsafePointer<Double>, _ x: UnsafePointer<Double>, rows: Int, stride: Int,
    into out: UnsafeMutablePointer<Double>
) {
    var (s0, s1, s2, s3) = (Row.zero, Row.zero, Row.zero, Row.zero)
    var (s4, s5, s6, s7) = (Row.zero, Row.zero, Row.zero, Row.zero)
    var left = v
    var next = x
    for _ in 0..<rows {
        let right = load(next)
        s0 = multiplyAdd(s0, Row(repeating: left[0]), right)
        s1 = multiplyAdd(s1, Row(repeating: left[1]), right)
        s2 = multiplyAdd(s2, Row(repeating: left[2]), right)
        s3 = multiplyAdd(s3, Row(repeating: left[3]), right)
        s4 = multiplyAdd(s4, Row(repeating: left[4]), right)
        s5 = multiplyAdd(s5, Row(repeating: left[5]), right)
        s6 = multiplyAdd(s6, Row(repeating: left[6]), right)
        s7 = multiplyAdd(s7, Row(repeating: left[7]), right)
        left += stride
        next += stride
    }
    store(s0, out)
    store(s1, out + 8)
    store(s2, out + 16)
    store(s3, out + 24)
    store(s4, out + 32)
    store(s5, out + 40)
    store(s6, out + 48)
    store(s7, out + 56)
}

@inline(__always)
private func load(_ pointer: UnsafePointer<Double>) -> Row {
    UnsafeRawPointer(pointer).loadUnaligned(as: Row.self)
}

@inline(__always)
private func store(_ value: Row, _ pointer: UnsafeMutablePointer<Double>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: Row.self)
}

@inline(__always)
private func multiplyAdd(_ sum: Row, _ x: Row, _ y: Row) -> Row {
    #if FMA || arch(arm64)
    sum.addingProduct(x, y)
    #else
    sum + x * y
    #endif
}

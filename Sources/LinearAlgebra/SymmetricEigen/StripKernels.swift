/// Loops over strips of eight columns of a row-major panel: one vector register holds one row of the strip.

@inline(__always)
func loadVector(_ p: UnsafePointer<Double>) -> SIMD8<Double> {
    UnsafeRawPointer(p).loadUnaligned(as: SIMD8<Double>.self)
}

@inline(__always)
func storeVector(_ value: SIMD8<Double>, _ p: UnsafeMutablePointer<Double>) {
    UnsafeMutableRawPointer(p).storeBytes(of: value, as: SIMD8<Double>.self)
}

/// Each row becomes row − v · update with v = scale · row[column], and v takes the place of row[column].
func applyReflector(
    _ p: UnsafeMutablePointer<Double>, rows: Int, stride: Int, column: Int, scale: Double, update: SIMD8<Double>
) {
    for i in 0..<rows {
        let row = p + i &* stride
        let v = row[column] * scale
        storeVector(loadVector(row) - v * update, row)
        row[column] = v
    }
}

/// Applies the reflector of `column − 1` (none for column 0) and returns Σ row[column] · row of the rows after that.
func applyReflectorAndGather(
    _ p: UnsafeMutablePointer<Double>, rows: Int, stride: Int, column: Int, scale: Double, update: SIMD8<Double>
) -> SIMD8<Double> {
    if column > 0 {
        applyReflector(p, rows: rows, stride: stride, column: column - 1, scale: scale, update: update)
    }
    var sum = SIMD8<Double>.zero
    for i in 0..<rows {
        let row = p + i &* stride
        sum += row[column] * loadVector(row)
    }
    return sum
}

/// products (8 × 8) ← Vᵀ X for two strips V and X (rows × 8).
func stripProducts(
    _ v: UnsafePointer<Double>, _ x: UnsafePointer<Double>, rows: Int, stride: Int,
    into products: UnsafeMutablePointer<Double>
) {
    var (s0, s1, s2, s3) = (SIMD8<Double>.zero, SIMD8<Double>.zero, SIMD8<Double>.zero, SIMD8<Double>.zero)
    var (s4, s5, s6, s7) = (SIMD8<Double>.zero, SIMD8<Double>.zero, SIMD8<Double>.zero, SIMD8<Double>.zero)
    for i in 0..<rows {
        let left = v + i &* stride
        let right = loadVector(x + i &* stride)
        s0 += left[0] * right
        s1 += left[1] * right
        s2 += left[2] * right
        s3 += left[3] * right
        s4 += left[4] * right
        s5 += left[5] * right
        s6 += left[6] * right
        s7 += left[7] * right
    }
    storeVector(s0, products)
    storeVector(s1, products + 8)
    storeVector(s2, products + 16)
    storeVector(s3, products + 24)
    storeVector(s4, products + 32)
    storeVector(s5, products + 40)
    storeVector(s6, products + 48)
    storeVector(s7, products + 56)
}

/// X ← (I − V Tᵀ Vᵀ) X for a strip X (rows × 8) and eight reflectors V (rows × 8), T (8 × 8) upper triangular.
func updateStrip(
    _ x: UnsafeMutablePointer<Double>, reflectors v: UnsafePointer<Double>, triangularFactor t: UnsafePointer<Double>,
    rows: Int, stride: Int
) {
    withUnsafeTemporaryAllocation(of: Double.self, capacity: 64) { products in
        guard let c = products.baseAddress else { return }
        stripProducts(v, x, rows: rows, stride: stride, into: c)
        // c ← Tᵀ c, from the last row up so that the rows above are still unmixed.
        for i in (0..<8).reversed() {
            var mixed = SIMD8<Double>.zero
            for l in 0...i { mixed += t[l * 8 + i] * loadVector(c + l * 8) }
            storeVector(mixed, c + i * 8)
        }
        let (c0, c1, c2, c3) = (loadVector(c), loadVector(c + 8), loadVector(c + 16), loadVector(c + 24))
        let (c4, c5, c6, c7) = (loadVector(c + 32), loadVector(c + 40), loadVector(c + 48), loadVector(c + 56))
        for i in 0..<rows {
            let left = v + i &* stride
            let right = x + i &* stride
            var row = loadVector(right)
            row -= left[0] * c0
            row -= left[1] * c1
            row -= left[2] * c2
            row -= left[3] * c3
            row -= left[4] * c4
            row -= left[5] * c5
            row -= left[6] * c6
            row -= left[7] * c7
            storeVector(row, right)
        }
    }
}

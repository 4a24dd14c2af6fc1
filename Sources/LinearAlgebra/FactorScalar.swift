import KernelContract
import Kernels
import MatrixCore

/// The number types that factorisations are computed in: `Float` and `Double`.
///
/// A factorisation is written once for both. Whatever touches many numbers is a requirement of this protocol, so that
/// it is compiled for the type even where the factorisation itself is not specialised; what remains generic is
/// control flow and the few numbers of a leaf.
public protocol FactorScalar: MatrixElement, SIMDScalar, Codable {
    /// Norms of columns below this, in a matrix scaled to largest magnitude 1, cannot be normalised and count as 0.
    static var negligibleNorm: Double { get }
    /// Squares of columns below this, in a symmetric matrix scaled likewise, are taken as 0.
    static var negligibleSquare: Double { get }
    static var reflectorKernels: ReflectorKernels.Arithmetic { get }

    /// The number, rounded to this type. `init(_:)` of the standard library is slow where it is not specialised.
    static func from(_ value: Double) -> Self
    static func double(_ value: Self) -> Double

    /// c ← alpha · a · b + beta · c.
    static func multiply(
        _ a: MatrixView<Self>, _ b: MatrixView<Self>, into c: MutableMatrixView<Self>, alpha: Self, beta: Self)
    /// c ← alpha · a · aᵀ + beta · c, both triangles.
    static func multiplyByTranspose(_ a: MatrixView<Self>, into c: MutableMatrixView<Self>, alpha: Self, beta: Self)
    /// The lower triangle of c ← alpha · a · b + beta · c.
    static func multiplyLower(
        _ a: MatrixView<Self>, _ b: MatrixView<Self>, into c: MutableMatrixView<Self>, alpha: Self, beta: Self)
    /// x ← t⁻¹ · x; a unit diagonal is not read.
    static func solveTriangular(
        _ t: MatrixView<Self>, _ triangle: Triangle, unitDiagonal: Bool, into x: MutableMatrixView<Self>)

    /// Σ x_i y_i in a fixed order.
    static func dot(_ x: UnsafePointer<Self>, _ y: UnsafePointer<Self>, _ count: Int) -> Self
    /// y ← y + alpha · x.
    static func addScaled(_ x: UnsafePointer<Self>, by alpha: Self, to y: UnsafeMutablePointer<Self>, _ count: Int)
    /// y ← alpha · x.
    static func copyScaled(_ x: UnsafePointer<Self>, by alpha: Self, to y: UnsafeMutablePointer<Self>, _ count: Int)
    /// Σ x_i², summed in Double in a fixed order.
    static func sumOfSquares(_ x: UnsafePointer<Self>, _ count: Int) -> Double
    /// The largest |a_ij|; NaN or ∞ if there is one.
    static func largestMagnitude(_ a: MatrixView<Self>) -> Double
    /// Place of the first of the largest |x_i|; 0 of none.
    static func indexOfLargest(_ x: UnsafePointer<Self>, _ count: Int) -> Int
    /// For every index i of the slice, in order, x_i and x_(others_i) change places.
    static func exchange(in x: UnsafeMutablePointer<Self>, _ others: ArraySlice<Int>)
    /// target ← scale · source, equal shapes, any strides; tiles are shared over the threads.
    static func copy(_ source: MatrixView<Self>, scaledBy scale: Self, into target: MutableMatrixView<Self>)
    /// target_i ← source[i · stride].
    static func widen(
        _ source: UnsafePointer<Self>, stride: Int, into target: UnsafeMutablePointer<Double>, _ count: Int)
    /// target_i ← source[indices_i].
    static func gather(_ source: UnsafePointer<Self>, _ indices: [Int], into target: UnsafeMutablePointer<Self>)
}

extension FactorScalar {
    /// x ← t⁻¹ · x.
    static func solveTriangular(_ t: MatrixView<Self>, _ triangle: Triangle, into x: MutableMatrixView<Self>) {
        solveTriangular(t, triangle, unitDiagonal: false, into: x)
    }

    /// A matrix of its own with the elements of the view.
    static func matrix(_ view: MatrixView<Self>) -> DenseMatrix<Self> {
        var result = DenseMatrix<Self>(uninitializedRows: view.rows, columns: view.columns)
        copy(view, scaledBy: 1, into: result.mutableView())
        return result
    }

    /// Zeros that a view alone owns: working memory that is written through one view for as long as it lives. (Asking a
    /// matrix for a second writable view while the first lives copies it.)
    static func workspace(rows: Int, columns: Int) -> MutableMatrixView<Self> {
        var matrix = DenseMatrix<Self>(rows: rows, columns: columns)
        return matrix.mutableView()
    }
}

extension DenseMatrix where Element: FactorScalar {
    /// The first columns; the matrix itself, and no copy, where that is all.
    public func leadingColumns(_ count: Int) -> Self {
        count == columns ? self : Element.matrix(view.columns(0..<count))
    }
}

extension Double: FactorScalar {
    // Squares of smaller norms leave the normal range of Double.
    public static var negligibleNorm: Double { 0x1p-511 / 0x1p-52 }
    public static var negligibleSquare: Double { 1e-280 }
    public static var reflectorKernels: ReflectorKernels.Arithmetic { InstructionSet.active.kernels.reflectors.float64 }

    public static func from(_ value: Double) -> Double { value }
    public static func double(_ value: Double) -> Double { value }

    public static func multiply(
        _ a: MatrixView<Double>, _ b: MatrixView<Double>, into c: MutableMatrixView<Double>, alpha: Double, beta: Double
    ) {
        Kernels.multiply(MatrixOperand(a), MatrixOperand(b), into: c, alpha: alpha, beta: beta)
    }

    public static func multiplyByTranspose(
        _ a: MatrixView<Double>, into c: MutableMatrixView<Double>, alpha: Double, beta: Double
    ) {
        Kernels.multiplyByTranspose(MatrixOperand(a), into: c, alpha: alpha, beta: beta)
    }

    public static func multiplyLower(
        _ a: MatrixView<Double>, _ b: MatrixView<Double>, into c: MutableMatrixView<Double>, alpha: Double, beta: Double
    ) {
        Kernels.multiplyTriangle(MatrixOperand(a), MatrixOperand(b), .lower, into: c, alpha: alpha, beta: beta)
    }

    public static func solveTriangular(
        _ t: MatrixView<Double>, _ triangle: Triangle, unitDiagonal: Bool, into x: MutableMatrixView<Double>
    ) {
        Kernels.solveTriangular(t, triangle, unitDiagonal: unitDiagonal, into: x)
    }

    public static func dot(_ x: UnsafePointer<Double>, _ y: UnsafePointer<Double>, _ count: Int) -> Double {
        VectorLoops.dot(x, y, count)
    }

    public static func addScaled(
        _ x: UnsafePointer<Double>, by alpha: Double, to y: UnsafeMutablePointer<Double>, _ count: Int
    ) {
        VectorLoops.addScaled(x, by: alpha, to: y, count)
    }

    public static func copyScaled(
        _ x: UnsafePointer<Double>, by alpha: Double, to y: UnsafeMutablePointer<Double>, _ count: Int
    ) {
        VectorLoops.copyScaled(x, by: alpha, to: y, count)
    }

    public static func sumOfSquares(_ x: UnsafePointer<Double>, _ count: Int) -> Double {
        VectorLoops.dot(x, x, count)
    }

    public static func gather(
        _ source: UnsafePointer<Double>, _ indices: [Int], into target: UnsafeMutablePointer<Double>
    ) {
        for (i, index) in indices.enumerated() { target[i] = source[index] }
    }

    public static func largestMagnitude(_ a: MatrixView<Double>) -> Double {
        let bits: Int64 = VectorLoops.largestBits(a)
        return Double(bitPattern: UInt64(bits))
    }

    public static func indexOfLargest(_ x: UnsafePointer<Double>, _ count: Int) -> Int {
        VectorLoops.indexOfLargest(UnsafeRawPointer(x).assumingMemoryBound(to: Int64.self), count)
    }

    public static func exchange(in x: UnsafeMutablePointer<Double>, _ others: ArraySlice<Int>) {
        for index in others.indices { (x[index], x[others[index]]) = (x[others[index]], x[index]) }
    }

    public static func copy(
        _ source: MatrixView<Double>, scaledBy scale: Double, into target: MutableMatrixView<Double>
    ) {
        VectorLoops.copy(source, scaledBy: scale, into: target)
    }

    public static func widen(
        _ source: UnsafePointer<Double>, stride: Int, into target: UnsafeMutablePointer<Double>, _ count: Int
    ) {
        for i in 0..<count { target[i] = source[i &* stride] }
    }
}

extension Float: FactorScalar {
    // 1 / norm would leave the normal range of Float; squares are summed in Double and are no limit.
    public static var negligibleNorm: Double { 0x1p-126 / 0x1p-23 }
    public static var negligibleSquare: Double { 1e-34 }
    public static var reflectorKernels: ReflectorKernels.Arithmetic { InstructionSet.active.kernels.reflectors.float32 }

    public static func from(_ value: Double) -> Float { Float(value) }
    public static func double(_ value: Float) -> Double { Double(value) }

    public static func multiply(
        _ a: MatrixView<Float>, _ b: MatrixView<Float>, into c: MutableMatrixView<Float>, alpha: Float, beta: Float
    ) {
        Kernels.multiply(MatrixOperand(a), MatrixOperand(b), into: c, alpha: alpha, beta: beta)
    }

    public static func multiplyByTranspose(
        _ a: MatrixView<Float>, into c: MutableMatrixView<Float>, alpha: Float, beta: Float
    ) {
        Kernels.multiplyByTranspose(MatrixOperand(a), into: c, alpha: alpha, beta: beta)
    }

    public static func multiplyLower(
        _ a: MatrixView<Float>, _ b: MatrixView<Float>, into c: MutableMatrixView<Float>, alpha: Float, beta: Float
    ) {
        Kernels.multiplyTriangle(MatrixOperand(a), MatrixOperand(b), .lower, into: c, alpha: alpha, beta: beta)
    }

    public static func solveTriangular(
        _ t: MatrixView<Float>, _ triangle: Triangle, unitDiagonal: Bool, into x: MutableMatrixView<Float>
    ) {
        Kernels.solveTriangular(t, triangle, unitDiagonal: unitDiagonal, into: x)
    }

    public static func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) -> Float {
        VectorLoops.dot(x, y, count)
    }

    public static func addScaled(
        _ x: UnsafePointer<Float>, by alpha: Float, to y: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        VectorLoops.addScaled(x, by: alpha, to: y, count)
    }

    public static func copyScaled(
        _ x: UnsafePointer<Float>, by alpha: Float, to y: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        VectorLoops.copyScaled(x, by: alpha, to: y, count)
    }

    public static func sumOfSquares(_ x: UnsafePointer<Float>, _ count: Int) -> Double {
        var partial = (0.0, 0.0, 0.0, 0.0)
        let whole = count & ~3
        var i = 0
        while i < whole {
            let a = Double(x[i])
            let b = Double(x[i &+ 1])
            let c = Double(x[i &+ 2])
            let d = Double(x[i &+ 3])
            partial.0 += a * a
            partial.1 += b * b
            partial.2 += c * c
            partial.3 += d * d
            i &+= 4
        }
        while i < count {
            partial.0 += Double(x[i]) * Double(x[i])
            i &+= 1
        }
        return (partial.0 + partial.1) + (partial.2 + partial.3)
    }

    public static func gather(
        _ source: UnsafePointer<Float>, _ indices: [Int], into target: UnsafeMutablePointer<Float>
    ) {
        for (i, index) in indices.enumerated() { target[i] = source[index] }
    }

    public static func largestMagnitude(_ a: MatrixView<Float>) -> Double {
        let bits: Int32 = VectorLoops.largestBits(a)
        return Double(Float(bitPattern: UInt32(bits)))
    }

    public static func indexOfLargest(_ x: UnsafePointer<Float>, _ count: Int) -> Int {
        VectorLoops.indexOfLargest(UnsafeRawPointer(x).assumingMemoryBound(to: Int32.self), count)
    }

    public static func exchange(in x: UnsafeMutablePointer<Float>, _ others: ArraySlice<Int>) {
        for index in others.indices { (x[index], x[others[index]]) = (x[others[index]], x[index]) }
    }

    public static func copy(_ source: MatrixView<Float>, scaledBy scale: Float, into target: MutableMatrixView<Float>) {
        VectorLoops.copy(source, scaledBy: scale, into: target)
    }

    public static func widen(
        _ source: UnsafePointer<Float>, stride: Int, into target: UnsafeMutablePointer<Double>, _ count: Int
    ) {
        for i in 0..<count { target[i] = Double(source[i &* stride]) }
    }
}

/// The loops behind `FactorScalar`, inlined into the function of each type. In this file, because a debug build does
/// not specialise across files.
private enum VectorLoops {
    /// Two registers' worth of partial sums, each over every 16th element, then one fixed tree.
    @inline(__always)
    static func dot<Element: FactorScalar>(
        _ x: UnsafePointer<Element>, _ y: UnsafePointer<Element>, _ count: Int
    ) -> Element {
        let left = UnsafeRawPointer(x)
        let right = UnsafeRawPointer(y)
        let stride = MemoryLayout<Element>.stride
        var first = SIMD8<Element>(repeating: 0)
        var second = SIMD8<Element>(repeating: 0)
        let whole = count & ~15
        var i = 0
        while i < whole {
            let byte = i &* stride
            let next = byte &+ 8 &* stride
            first +=
                left.loadUnaligned(fromByteOffset: byte, as: SIMD8<Element>.self)
                * right.loadUnaligned(fromByteOffset: byte, as: SIMD8<Element>.self)
            second +=
                left.loadUnaligned(fromByteOffset: next, as: SIMD8<Element>.self)
                * right.loadUnaligned(fromByteOffset: next, as: SIMD8<Element>.self)
            i &+= 16
        }
        let eight = first + second
        let four = eight.lowHalf + eight.highHalf
        let two = four.lowHalf + four.highHalf
        var sum = two[0] + two[1]
        while i < count {
            sum += x[i] * y[i]
            i &+= 1
        }
        return sum
    }

    @inline(__always)
    static func addScaled<Element: FactorScalar>(
        _ x: UnsafePointer<Element>, by alpha: Element, to y: UnsafeMutablePointer<Element>, _ count: Int
    ) {
        for i in 0..<count { y[i] += alpha * x[i] }
    }

    @inline(__always)
    static func copyScaled<Element: FactorScalar>(
        _ x: UnsafePointer<Element>, by alpha: Element, to y: UnsafeMutablePointer<Element>, _ count: Int
    ) {
        for i in 0..<count { y[i] = alpha * x[i] }
    }

    /// The largest of |x_i| as the bits of a number, which are ordered like the numbers themselves, and NaN after all.
    @inline(__always)
    static func largestBits<Bits: FixedWidthInteger>(_ x: UnsafePointer<Bits>, _ range: Range<Int>) -> Bits {
        var largest: Bits = 0
        for i in range {
            let magnitude = x[i] & Bits.max
            largest = magnitude > largest ? magnitude : largest
        }
        return largest
    }

    /// The bits of the largest |a_ij|, one pass for "how large" and "is it finite".
    @inline(__always)
    static func largestBits<Element: FactorScalar, Bits: FixedWidthInteger & BitwiseCopyable & Sendable>(
        _ a: MatrixView<Element>
    ) -> Bits {
        let rows = max(1, 1 << 16 / max(a.columns, 1)), pieces = (a.rows + rows - 1) / rows
        guard pieces > 1 else { return largestBits(a, 0..<a.rows) }
        let found = AlignedBuffer<Bits>(uninitializedCount: pieces)
        parallelFor(pieces) { found.base[$0] = largestBits(a, $0 * rows..<min(($0 + 1) * rows, a.rows)) }
        return (0..<pieces).reduce(0) { max($0, found.base[$1]) }
    }

    @inline(__always)
    private static func largestBits<Element: FactorScalar, Bits: FixedWidthInteger>(
        _ a: MatrixView<Element>, _ rows: Range<Int>
    ) -> Bits {
        var largest: Bits = 0
        for i in rows {
            let row = UnsafeRawPointer(a.base + i &* a.rowStride).assumingMemoryBound(to: Bits.self)
            if a.columnStride == 1 {
                largest = max(largest, largestBits(row, 0..<a.columns))
            } else {
                for j in 0..<a.columns { largest = max(largest, row[j &* a.columnStride] & Bits.max) }
            }
        }
        return largest
    }

    /// The first largest stretch, then its first largest number.
    @inline(__always)
    static func indexOfLargest<Bits: FixedWidthInteger>(_ x: UnsafePointer<Bits>, _ count: Int) -> Int {
        let stretch = 256
        var best = 0
        var largest: Bits = 0
        var start = 0
        while start < count {
            let found = largestBits(x, start..<min(start &+ stretch, count))
            if found > largest { (best, largest) = (start, found) }
            start &+= stretch
        }
        while best < count, x[best] & Bits.max != largest { best &+= 1 }
        return best < count ? best : 0
    }

    /// Square tiles keep both sides in cache when one of them is walked across its rows.
    @inline(__always)
    static func copy<Element: FactorScalar>(
        _ source: MatrixView<Element>, scaledBy scale: Element, into target: MutableMatrixView<Element>
    ) {
        precondition(source.rows == target.rows && source.columns == target.columns, "shapes do not fit")
        let tile = 32
        parallelFor((source.rows + tile - 1) / tile) { piece in
            let rows = piece * tile..<min(source.rows, (piece + 1) * tile)
            var left = 0
            while left < source.columns {
                let right = min(source.columns, left + tile)
                for i in rows {
                    let from = source.base + i &* source.rowStride
                    let to = target.base + i &* target.rowStride
                    for j in left..<right { to[j &* target.columnStride] = scale * from[j &* source.columnStride] }
                }
                left = right
            }
        }
    }
}

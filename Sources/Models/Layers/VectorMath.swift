/// Loops over runs of Float that the layers share, eight numbers at a time.
///
/// Sums are kept in eight lanes and added in a fixed order, so a result depends on the run alone.
enum VectorMath {
    typealias Lanes = SIMD8<Float>
    static let width = 8

    /// e^x, within 2 units of the last place; below −87 it stays at the smallest normal number, NaN stays NaN.
    ///
    /// - Method: x = n · ln 2 + r, a polynomial of degree 6 in r (Cephes, `expf`), and n put into the exponent.
    @inline(__always)
    static func exponential(_ x: Lanes) -> Lanes {
        let low = Lanes(repeating: -87.33654), high = Lanes(repeating: 88.72283)
        let bounded = x.replacing(with: low, where: x .< low).replacing(with: high, where: x .> high)
        // Adding 1.5 · 2²³ rounds to a whole number, which then stands in the low bits.
        let magic = Lanes(repeating: 12_582_912)
        let shifted = bounded * 1.442_695_04 + magic
        let n = shifted - magic
        let r = (bounded - n * 0.693_359_375) - n * -2.121_944_4e-4
        var y = r * 1.987_569_15e-4 + 1.398_199_95e-3
        y = y * r + 8.333_451_9e-3
        y = y * r + 4.166_579_6e-2
        y = y * r + 1.666_666_55e-1
        y = y * r + 5.000_000_1e-1
        y = y * (r * r) + r + 1
        // 2^128 has no exponent: the power is applied in two steps.
        let exponent = unsafeBitCast(shifted, to: SIMD8<Int32>.self) &- SIMD8(repeating: 0x4B40_0000)
        let half = exponent &>> 1
        let first = unsafeBitCast((half &+ 127) &<< 23, to: Lanes.self)
        let second = unsafeBitCast((exponent &- half &+ 127) &<< 23, to: Lanes.self)
        return y * first * second
    }

    @inline(__always)
    static func load(_ p: UnsafePointer<Float>) -> Lanes {
        UnsafeRawPointer(p).loadUnaligned(as: Lanes.self)
    }

    @inline(__always)
    static func load(_ p: UnsafeMutablePointer<Float>) -> Lanes {
        UnsafeRawPointer(p).loadUnaligned(as: Lanes.self)
    }

    @inline(__always)
    static func store(_ value: Lanes, _ p: UnsafeMutablePointer<Float>) {
        UnsafeMutableRawPointer(p).storeBytes(of: value, as: Lanes.self)
    }

    /// p[i] ← f(p[i]); `f` sees a padded vector at the end of a run.
    @inline(__always)
    static func map(_ p: UnsafeMutablePointer<Float>, _ count: Int, _ f: (Lanes) -> Lanes) {
        var i = 0
        while i &+ width <= count {
            store(f(load(p + i)), p + i)
            i &+= width
        }
        if i < count {
            var tail = Lanes()
            for j in i..<count { tail[j &- i] = p[j] }
            tail = f(tail)
            for j in i..<count { p[j] = tail[j &- i] }
        }
    }

    /// p[i] ← f(p[i], q[i])
    @inline(__always)
    static func combine(
        _ p: UnsafeMutablePointer<Float>, _ q: UnsafePointer<Float>, _ count: Int, _ f: (Lanes, Lanes) -> Lanes
    ) {
        var i = 0
        while i &+ width <= count {
            store(f(load(p + i), load(q + i)), p + i)
            i &+= width
        }
        if i < count {
            var left = Lanes(), right = Lanes()
            for j in i..<count {
                left[j &- i] = p[j]
                right[j &- i] = q[j]
            }
            left = f(left, right)
            for j in i..<count { p[j] = left[j &- i] }
        }
    }

    /// Σ p[i]
    @inline(__always)
    static func sum(_ p: UnsafePointer<Float>, _ count: Int) -> Float {
        reduce(p, count) { $0 }
    }

    /// Σ p[i]²
    @inline(__always)
    static func sumOfSquares(_ p: UnsafePointer<Float>, _ count: Int) -> Float {
        reduce(p, count) { $0 * $0 }
    }

    /// Σ p[i] · q[i]
    @inline(__always)
    static func innerProduct(_ p: UnsafePointer<Float>, _ q: UnsafePointer<Float>, _ count: Int) -> Float {
        var sum = Lanes()
        var i = 0
        while i &+ width <= count {
            sum += load(p + i) * load(q + i)
            i &+= width
        }
        var left = Lanes(), right = Lanes()
        for j in i..<count {
            left[j &- i] = p[j]
            right[j &- i] = q[j]
        }
        return total(sum + left * right)
    }

    /// Σ f(p[i]) with f(0) = 0.
    @inline(__always)
    static func reduce(_ p: UnsafePointer<Float>, _ count: Int, _ f: (Lanes) -> Lanes) -> Float {
        var first = Lanes(), second = Lanes()
        var i = 0
        while i &+ 2 &* width <= count {
            first += f(load(p + i))
            second += f(load(p + i + width))
            i &+= 2 &* width
        }
        if i &+ width <= count {
            first += f(load(p + i))
            i &+= width
        }
        var tail = Lanes()
        for j in i..<count { tail[j &- i] = p[j] }
        return total(first + second + f(tail))
    }

    @inline(__always)
    static func total(_ lanes: Lanes) -> Float {
        let four = lanes.lowHalf + lanes.highHalf
        let two = four.lowHalf + four.highHalf
        return two.x + two.y
    }

    /// The largest of the numbers; NaN where one is NaN. The run is not empty.
    @inline(__always)
    static func maximum(_ p: UnsafePointer<Float>, _ count: Int) -> Float {
        var best = p[0]
        var i = 0
        if count >= width {
            var lanes = load(p)
            i = width
            while i &+ width <= count {
                let next = load(p + i)
                // Where a lane is NaN the comparison is false, and NaN stays.
                lanes.replace(with: next, where: .!(next .<= lanes) .& (lanes .== lanes))
                i &+= width
            }
            best = lanes[0]
            for lane in 1..<width where !(lanes[lane] <= best) && best == best { best = lanes[lane] }
        }
        while i < count {
            if !(p[i] <= best) && best == best { best = p[i] }
            i &+= 1
        }
        return best
    }
}

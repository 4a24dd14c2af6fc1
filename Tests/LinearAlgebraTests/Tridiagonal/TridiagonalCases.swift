import Foundation
import MatrixCore
import Testing

/// A family of symmetric tridiagonal matrices, by name.
struct TridiagonalCase: CustomTestStringConvertible, Sendable {
    let name: String
    typealias Make = @Sendable (_ order: Int) -> (diagonal: [Double], offDiagonal: [Double])
    let make: Make

    var testDescription: String { name }

    private init(_ name: String, _ make: @escaping Make) {
        self.name = name
        self.make = make
    }

    private static func numbers(_ seed: UInt64, _ count: Int, _ value: (CounterRandom, Int) -> Double) -> [Double] {
        (0..<max(count, 0)).map { value(CounterRandom(seed: seed), $0) }
    }

    private static func normal(_ seed: UInt64, _ count: Int, scale: Double = 1) -> [Double] {
        numbers(seed, count) { scale * $0.normal($1) }
    }

    private static func constant(_ value: Double, _ count: Int) -> [Double] {
        [Double](repeating: value, count: max(count, 0))
    }

    private static func wilkinson(_ order: Int) -> [Double] {
        (0..<order).map { (Double($0) - Double(order - 1) / 2).magnitude }
    }

    static let all: [TridiagonalCase] = [
        .init("second difference") { n in (constant(2, n), constant(-1, n - 1)) },
        .init("random") { n in
            (normal(1, n), normal(2, n - 1))
        },
        .init("Wilkinson") { n in (wilkinson(n), constant(1, n - 1)) },
        .init("glued Wilkinson") { n in
            let diagonal = (0..<n).map { wilkinson(21)[$0 % 21] }
            return (diagonal, (0..<max(n - 1, 0)).map { $0 % 21 == 20 ? 1e-8 : 1 })
        },
        .init("clustered at one") { n in
            (numbers(3, n) { 1 + 1e-13 * $0.normal($1) }, normal(4, n - 1, scale: 1e-13))
        },
        .init("pairs that are close") { n in
            let diagonal: [Double] = (0..<n).map { index in Double(index / 2) + 1e-9 * Double(index % 2) }
            return (diagonal, normal(18, n - 1, scale: 1e-10))
        },
        .init("few distinct") { n in ((0..<n).map { Double($0 % 3) }, normal(5, n - 1, scale: 1e-17)) },
        .init("identity") { n in (constant(1, n), constant(0, n - 1)) },
        .init("zero") { n in (constant(0, n), constant(0, n - 1)) },
        .init("zero diagonal") { n in
            (constant(0, n), normal(6, n - 1))
        },
        .init("graded down") { n in
            ((0..<n).map { pow(10, -Double($0) / 4) }, (0..<max(n - 1, 0)).map { pow(10, -Double($0) / 4 - 0.5) })
        },
        .init("graded up") { n in
            ((0..<n).map { pow(10, Double($0 - n) / 4) }, (0..<max(n - 1, 0)).map { pow(10, Double($0 - n) / 4) })
        },
        .init("split in pieces") { n in
            (normal(7, n), numbers(8, n - 1) { $1 % 5 == 4 ? 0 : $0.normal($1) })
        },
        .init("tiny coupling") { n in (normal(9, n), constant(1e-9, n - 1)) },
        .init("huge") { n in (normal(10, n, scale: 1e300), normal(11, n - 1, scale: 1e300)) },
        .init("1e30") { n in (normal(10, n, scale: 1e30), normal(11, n - 1, scale: 1e30)) },
        .init("1e-30") { n in (normal(12, n, scale: 1e-30), normal(13, n - 1, scale: 1e-30)) },
        .init("denormal") { n in (normal(14, n, scale: 0x1p-1046), normal(15, n - 1, scale: 0x1p-1046)) },
        .init("wide range") { n in
            let value = { (random: CounterRandom, index: Int) in pow(10, 20 * random.uniform(index) - 20) }
            return (numbers(16, n, value), numbers(17, n - 1, value))
        },
    ]
}

/// Eigenvalue number `index` (ascending) by bisection on the number of negative pivots, the textbook's Sturm count.
func bisectedEigenvalue(_ diagonal: [Double], _ offDiagonal: [Double], index: Int) -> Double {
    var reach = 0.0
    for i in diagonal.indices {
        let below = i > 0 ? offDiagonal[i - 1].magnitude : 0
        let above = i < offDiagonal.count ? offDiagonal[i].magnitude : 0
        reach = max(reach, diagonal[i].magnitude + below + above)
    }
    var low = -reach, high = reach
    for _ in 0..<80 {
        let middle = low + (high - low) / 2
        var pivot = 1.0, count = 0
        for i in diagonal.indices {
            let coupling = i > 0 ? offDiagonal[i - 1] : 0
            pivot = diagonal[i] - middle - (coupling == 0 ? 0 : coupling * coupling / pivot)
            if pivot == 0 { pivot = -1e-300 }
            if pivot < 0 { count += 1 }
        }
        if count > index { high = middle } else { low = middle }
    }
    return low + (high - low) / 2
}

import Foundation
import MatrixCore
import Testing

/// A family of symmetric tridiagonal matrices, by name.
struct TridiagonalCase: CustomTestStringConvertible, Sendable {
    let name: String
    let make: @Sendable (_ order: Int) -> (diagonal: [Double], offDiagonal: [Double])

    var testDescription: String { name }

    private init(_ name: String, _ make: @escaping @Sendable (Int) -> (diagonal: [Double], offDiagonal: [Double])) {
        self.name = name
        self.make = make
    }

    private static func numbers(_ seed: UInt64, _ count: Int, _ value: (CounterRandom, Int) -> Double) -> [Double] {
        (0..<max(count, 0)).map { value(CounterRandom(seed: seed), $0) }
    }

    private static func wilkinson(_ order: Int) -> [Double] {
        (0..<order).map { (Double($0) - Double(order - 1) / 2).magnitude }
    }

    static let all: [TridiagonalCase] = [
        .init("second difference") { n in ([Double](repeating: 2, count: n), [Double](repeating: -1, count: max(n - 1, 0))) },
        .init("random") { n in
            (numbers(1, n) { $0.normal($1) }, numbers(2, n - 1) { $0.normal($1) })
        },
        .init("Wilkinson") { n in (wilkinson(n), [Double](repeating: 1, count: max(n - 1, 0))) },
        .init("glued Wilkinson") { n in
            let diagonal = (0..<n).map { wilkinson(21)[$0 % 21] }
            return (diagonal, (0..<max(n - 1, 0)).map { $0 % 21 == 20 ? 1e-8 : 1 })
        },
        .init("clustered at one") { n in
            (numbers(3, n) { 1 + 1e-13 * $0.normal($1) }, numbers(4, n - 1) { 1e-13 * $0.normal($1) })
        },
        .init("few distinct") { n in ((0..<n).map { Double($0 % 3) }, numbers(5, n - 1) { 1e-17 * $0.normal($1) }) },
        .init("identity") { n in ([Double](repeating: 1, count: n), [Double](repeating: 0, count: max(n - 1, 0))) },
        .init("zero") { n in ([Double](repeating: 0, count: n), [Double](repeating: 0, count: max(n - 1, 0))) },
        .init("zero diagonal") { n in
            ([Double](repeating: 0, count: n), numbers(6, n - 1) { $0.normal($1) })
        },
        .init("graded down") { n in
            ((0..<n).map { pow(10, -Double($0) / 4) }, (0..<max(n - 1, 0)).map { pow(10, -Double($0) / 4 - 0.5) })
        },
        .init("graded up") { n in
            ((0..<n).map { pow(10, Double($0 - n) / 4) }, (0..<max(n - 1, 0)).map { pow(10, Double($0 - n) / 4) })
        },
        .init("split in pieces") { n in
            (numbers(7, n) { $0.normal($1) }, numbers(8, n - 1) { $1 % 5 == 4 ? 0 : $0.normal($1) })
        },
        .init("tiny coupling") { n in (numbers(9, n) { $0.normal($1) }, [Double](repeating: 1e-9, count: max(n - 1, 0))) },
        .init("huge") { n in (numbers(10, n) { 1e300 * $0.uniform($1) }, numbers(11, n - 1) { 1e300 * $0.uniform($1) }) },
        .init("1e30") { n in (numbers(10, n) { 1e30 * $0.uniform($1) }, numbers(11, n - 1) { 1e30 * $0.uniform($1) }) },
        .init("1e-30") { n in (numbers(12, n) { 1e-30 * $0.normal($1) }, numbers(13, n - 1) { 1e-30 * $0.normal($1) }) },
        .init("denormal") { n in (numbers(14, n) { 0x1p-1046 * $0.normal($1) }, numbers(15, n - 1) { 0x1p-1046 * $0.normal($1) }) },
        .init("wide range") { n in
            (numbers(16, n) { pow(10, 20 * $0.uniform($1) - 20) }, numbers(17, n - 1) { pow(10, 20 * $0.uniform($1) - 20) })
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

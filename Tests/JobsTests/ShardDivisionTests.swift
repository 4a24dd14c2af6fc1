import Testing

@testable import Jobs

/// How the groups of a plan are divided over machines.
struct ShardDivisionTests {
    @Test(arguments: [("1/1", 1, 1), ("2/8", 2, 8), ("8/8", 8, 8), ("0007/10", 7, 10)])
    func partsAreRead(text: String, index: Int, count: Int) {
        #expect(Shard(text) == Shard(index: index, of: count))
        #expect(Shard(text)?.description == "\(index)/\(count)")
    }

    @Test(arguments: ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", "1/", "/2", " 1/2", "1/99999999", "１/2"])
    func whatIsNoPartIsRefused(text: String) {
        #expect(Shard(text) == nil)
    }

    /// 7 to one, 5 + 3 to the other, by hand.
    @Test func theLargestGoFirstToWhoHasLeast() {
        #expect(ShardDivision(costs: [3, 7, 5], into: 2).parts == [2, 1, 2])
        #expect(ShardDivision(costs: [1, 1, 1, 1], into: 2).parts == [1, 2, 1, 2])
        #expect(ShardDivision(costs: [], into: 3).parts == [])
        #expect(ShardDivision(costs: [0, 0], into: 1).parts == [1, 1])
        #expect(Set(ShardDivision(costs: [2, 2], into: 5).parts) == [1, 2])
    }

    /// Against all divisions: never more than (4 − 1/parts)/3 of the best (Graham 1969).
    @Test(arguments: [2, 3])
    func noPartHasMuchMoreThanTheBestDivision(count: Int) {
        let costs: [Double] = [9, 8, 8, 7, 5, 4, 1]
        func load(_ parts: [Int]) -> Double {
            (1...count).map { part in zip(costs, parts).reduce(0) { $0 + ($1.1 == part ? $1.0 : 0) } }.max() ?? 0
        }
        var best = Double.infinity
        for code in 0..<(0..<costs.count).reduce(1, { product, _ in product * count }) {
            var rest = code
            best = min(best, load(costs.map { _ in defer { rest /= count }; return rest % count + 1 }))
        }
        let found = load(ShardDivision(costs: costs, into: count).parts)
        #expect(found >= best && found <= best * (4 - 1 / Double(count)) / 3)
    }
}

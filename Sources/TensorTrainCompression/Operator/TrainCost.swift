/// How long work on a train takes, in multiply-adds of a large product.
///
/// A product also packs its operands and writes its result. Where a side is short this takes longer than the
/// multiply-adds, which the ranks of thin bonds and small modes often are.
///
/// The three figures are estimates, held against trains of two and three cores of 4096 × 4096 on two cores with AVX-512
/// (`Scripts/bench_layers.py`); where multiply-adds are slower, they weigh too much, and routes with fewer but larger
/// products are taken.
enum TrainCost {
    /// For every number of an operand.
    static let packed = 12.0
    /// For every number of a result.
    static let written = 24.0
    /// For every number that changes its place between products.
    static let moved = 48.0

    /// (rows × depth) · (depth × columns)
    static func product(_ rows: Int, _ depth: Int, _ columns: Int) -> Double {
        let (m, k, n) = (Double(rows), Double(depth), Double(columns))
        return m * n * k + packed * k * (m + n) + written * m * n
    }
}

import CompressionCore
import TensorTrainCompression

/// Tensor trains, and with `tt-outliers` beside each train the entries that it misses most.
///
/// A few entries of a model can carry it ("super weights"), and a train of small ranks drops them. With a share F of
/// the entries, ⌊F·m·n⌋ of them and one at least, the matrix is a train and those entries apart, which is the form that
/// Saten has: the two are fitted in turn, so an entry that is kept apart does not bend the train, and what is stored of
/// it makes up for the train to the last digit of its type. A budget counts both.
///
/// - Source: Yu et al., "The super weight in large language models", arXiv 2411.07191, for why.
public struct OutlierTrainCompressor: Compressor {
    public static let method = TensorTrainCompressor.method
    public static let optionNames = TensorTrainCompressor.optionNames + [outliers]
    public static let sizeOptionNames = TensorTrainCompressor.sizeOptionNames

    public static func sizeOptions(ranks: [Int]) -> [String: String]? {
        TensorTrainCompressor.sizeOptions(ranks: ranks)
    }

    private static let outliers = "tt-outliers"

    /// The trains alone, or with entries beside them.
    private let form: any Compressor

    public init(_ settings: MethodSettings) throws(CompressionError) {
        let train = try TensorTrainCompressor(settings)
        guard let share = try settings.number(Self.outliers, in: 0...1) else {
            form = train
            return
        }
        guard share > 0, share < 1 else {
            throw .badOption(name: Self.outliers, reason: "\(share) is not between 0 and 1")
        }
        form = SatenCompressor(density: share, lowRank: train, statesLowRankSize: train.options.ranks != nil)
    }

    public func size(of group: [GroupMember], budget: Budget) throws(CompressionError) -> [PlannedSize]? {
        try form.size(of: group, budget: budget)
    }

    public func compress(_ group: [CompressionTask], budget: Budget) throws -> [CompressionOutcome] {
        try form.compress(group, budget: budget)
    }
}

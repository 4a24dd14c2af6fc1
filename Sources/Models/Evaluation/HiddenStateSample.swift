import MatrixCore

/// The hidden states behind every layer at some positions of a sequence, kept while the sequence is read.
///
/// Positions lie at even distances, all of them where they fit: states of a layer are needed beside those of every
/// other layer, so they cannot be looked at one layer at a time, and all of a long window would outgrow the weights.
///
/// - Cost: at most `memoryBytes`, or one position.
public final class HiddenStateSample: ForwardObserver {
    /// Enough for every position of small models, and for 128 positions of 32 layers of 4096.
    public static let memoryBytes = 64 << 20

    public let layers: Int
    public let hidden: Int
    /// What is kept of the last sequence.
    private(set) var states = States(positions: [], layers: 0, hidden: 0)

    /// States behind every layer at some positions.
    struct States: Sendable {
        /// The rows of the sequence that are kept, ascending.
        let positions: [Int]
        let hidden: Int
        /// (layers · positions × hidden), layer by layer
        private let buffer: AlignedBuffer<Float>

        init(positions: [Int], layers: Int, hidden: Int) {
            self.positions = positions
            self.hidden = hidden
            buffer = AlignedBuffer(uninitializedCount: layers * positions.count * hidden)
        }

        /// The state (hidden) behind a layer at the position `positions[place]`.
        func state(_ layer: Int, _ place: Int) -> UnsafeMutablePointer<Float> {
            buffer.base + (layer * positions.count + place) * hidden
        }
    }

    public init(_ description: ModelDescription) {
        layers = description.layers
        hidden = description.hidden
    }

    /// Whether two samples have the same layers, so that states can be held against each other.
    public func isComparable(to other: HiddenStateSample) -> Bool {
        layers == other.layers && hidden == other.hidden
    }

    /// Forgets the last sequence; the next, of `tokens` tokens, is read in one go.
    public func begin(tokens: Int) {
        let fitting = max(1, Self.memoryBytes / max(layers * hidden * MemoryLayout<Float>.stride, 1))
        let count = min(tokens, fitting)
        let positions = (0..<count).map { $0 * tokens / count }
        if positions != states.positions { states = States(positions: positions, layers: layers, hidden: hidden) }
    }

    public func didFinish(layer: Int, hidden output: MatrixView<Float>) {
        for (place, position) in states.positions.enumerated() {
            states.state(layer, place).update(from: output.base + position * output.rowStride, count: hidden)
        }
    }
}

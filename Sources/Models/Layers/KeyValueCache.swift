import MatrixCore

/// Keys and values of every token of a sequence, for all layers or for the layer at work only.
///
/// - Cost: 2 · 4 bytes · features · tokens for each layer that is kept.
final class KeyValueCache {
    /// What is kept when a layer is done.
    enum Retention {
        /// All layers, so that the next tokens can look back.
        case everyLayer
        /// Nothing: layers share the memory of one. For sequences that are read in one go.
        case currentLayer
    }

    let retention: Retention
    /// Numbers of a token's keys: heads · head dimension.
    private let features: Int
    private var capacity: Int
    private var keys: [AlignedBuffer<Float>]
    private var values: [AlignedBuffer<Float>]

    init(layers: Int, features: Int, retention: Retention) {
        self.retention = retention
        self.features = features
        capacity = 0
        let count = retention == .everyLayer ? layers : 1
        keys = (0..<count).map { _ in AlignedBuffer(uninitializedCount: 0) }
        values = keys.map { _ in AlignedBuffer(uninitializedCount: 0) }
    }

    /// Makes room for `tokens` in all, keeping the first `used`.
    func reserve(_ tokens: Int, used: Int) {
        guard tokens > capacity else { return }
        capacity = retention == .everyLayer ? max(tokens, 2 * capacity) : tokens
        for index in keys.indices {
            keys[index] = grown(keys[index], used)
            values[index] = grown(values[index], used)
        }
    }

    private func grown(_ buffer: AlignedBuffer<Float>, _ used: Int) -> AlignedBuffer<Float> {
        let larger = AlignedBuffer<Float>(uninitializedCount: capacity * features)
        larger.base.initialize(from: buffer.base, count: min(used * features, buffer.count))
        return larger
    }

    /// Keys and values of a layer, each (tokens × features).
    func layer(_ index: Int, tokens: Int) -> (keys: MutableMatrixView<Float>, values: MutableMatrixView<Float>) {
        let place = retention == .everyLayer ? index : 0
        func view(_ buffer: AlignedBuffer<Float>) -> MutableMatrixView<Float> {
            MutableMatrixView(base: buffer.base, rows: tokens, columns: features, rowStride: features, owner: buffer)
        }
        return (view(keys[place]), view(values[place]))
    }
}

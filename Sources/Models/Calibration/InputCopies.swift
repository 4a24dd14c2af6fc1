import MatrixCore
import Statistics

/// Copies some inputs of a forward pass, token by token: for comparing two networks that read the same text.
public final class InputCopies: ForwardObserver {
    private var rows: [String: Matrix] = [:]
    private var filled: [String: Int] = [:]
    private let features: [String: Int]
    private let capacity: Int

    /// - Parameter tokens: of the longest sequence.
    public init(_ inputs: [LayerInput], tokens: Int) {
        features = Dictionary(uniqueKeysWithValues: inputs.map { ($0.name, $0.features) })
        capacity = tokens
    }

    /// Forgets what was copied; the memory stays.
    public func restart() {
        filled = [:]
    }

    public func willApply(_ module: String, to input: MatrixView<Float>) {
        guard let features = features[module] else { return }
        let start = filled[module] ?? 0
        var copy = rows.removeValue(forKey: module) ?? Matrix(uninitializedRows: capacity, columns: features)
        let target = copy.mutableView()
        for row in 0..<input.rows {
            (target.base + (start + row) * target.rowStride).update(
                from: input.base + row * input.rowStride, count: features)
        }
        rows[module] = copy
        filled[module] = start + input.rows
    }

    /// What the layers of an input read (tokens × n).
    public func tokens(of input: LayerInput) -> MatrixView<Float> {
        let copy = rows[input.name] ?? Matrix(rows: 0, columns: input.features)
        return copy.view.rows(0..<(filled[input.name] ?? 0))
    }
}

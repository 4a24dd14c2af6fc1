import MatrixCore
import Statistics

/// Copies some inputs of a forward pass, token by token, and what the outputs of their layers are added to: for comparing
/// two networks that read the same text.
public final class InputCopies: ForwardObserver {
    private var rows: [String: Matrix] = [:]
    private var filled: [String: Int] = [:]
    /// By input, of those whose layer writes to the residual stream.
    private var residuals: [String: Matrix] = [:]
    private let features: [String: Int]
    private let capacity: Int
    /// Of the sequence that is copied.
    private var expected = 0

    /// - Parameter tokens: of the longest sequence.
    public init(_ inputs: [LayerInput], tokens: Int) {
        features = Dictionary(uniqueKeysWithValues: inputs.map { ($0.name, $0.features) })
        capacity = tokens
    }

    /// Forgets what was copied; the memory stays.
    /// - Parameter tokens: of the sequence that comes next.
    public func restart(tokens: Int) {
        filled = [:]
        expected = tokens
    }

    public var hasSeenAll: Bool { features.keys.allSatisfy { filled[$0] == expected } }

    public func willApply(_ module: String, to input: MatrixView<Float>) {
        guard let features = features[module] else { return }
        let start = filled[module] ?? 0
        var copy = rows.removeValue(forKey: module) ?? Matrix(uninitializedRows: capacity, columns: features)
        Self.copy(input, to: copy.mutableView().rows(start..<start + input.rows))
        rows[module] = copy
        filled[module] = start + input.rows
    }

    public func willAdd(outputsOf module: String, to residual: MatrixView<Float>) {
        guard features[module] != nil else { return }
        var copy =
            residuals.removeValue(forKey: module) ?? Matrix(uninitializedRows: capacity, columns: residual.columns)
        Self.copy(residual, to: copy.mutableView().rows(0..<residual.rows))
        residuals[module] = copy
    }

    /// What the layers of an input read (tokens × n).
    public func tokens(of input: LayerInput) -> MatrixView<Float> {
        let copy = rows[input.name] ?? Matrix(rows: 0, columns: input.features)
        return copy.view.rows(0..<(filled[input.name] ?? 0))
    }

    /// What the outputs of the layer that reads an input are added to (tokens × hidden); nil for layers within a block.
    public func residual(of input: LayerInput) -> MatrixView<Float>? {
        residuals[input.name]?.view.rows(0..<(filled[input.name] ?? 0))
    }

    private static func copy(_ source: MatrixView<Float>, to target: MutableMatrixView<Float>) {
        for row in 0..<source.rows {
            (target.base + row * target.rowStride).update(
                from: source.base + row * source.rowStride, count: source.columns)
        }
    }
}

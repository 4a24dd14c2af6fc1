import MatrixCore
import Statistics

/// Copies some inputs of a forward pass, token by token, and what the outputs of their layers are added to: for
/// comparing two networks that read the same text.
///
/// Experts read the tokens that their router sends them, and two networks route alike only as long as they are alike.
/// So that the copies of both have the same tokens in the same places, one of them may follow the other: its tokens go
/// to the experts that the other's router has chosen for them, and what an expert then reads and gives is what it would
/// in that network.
public final class InputCopies: ForwardObserver {
    private var rows: [String: Matrix] = [:]
    private var filled: [String: Int] = [:]
    /// By input, of those whose layer writes to the residual stream.
    private var residuals: [String: Matrix] = [:]
    /// Of routers, as they have chosen, or as those of `leader` have.
    private var choices: [String: [[ExpertChoice]]] = [:]
    private let leader: InputCopies?
    private let features: [String: Int]
    private let capacity: Int
    /// Of the sequence that is copied.
    private var expected = 0

    /// - Parameters:
    ///   - tokens: of the longest sequence.
    ///   - leader: copies of the network whose ways the tokens go; it has read a sequence before this one does.
    public init(_ inputs: [LayerInput], tokens: Int, following leader: InputCopies? = nil) {
        self.leader = leader
        features = Dictionary(uniqueKeysWithValues: inputs.map { ($0.name, $0.features) })
        capacity = tokens
    }

    /// Forgets what was copied; the memory stays.
    /// - Parameter tokens: of the sequence that comes next.
    public func restart(tokens: Int) {
        filled = [:]
        choices = [:]
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

    public func willRoute(_ router: String, _ choices: inout [[ExpertChoice]]) {
        if let leader {
            guard let chosen = leader.choices[router] else {
                preconditionFailure("the leader has not come to \(router)")
            }
            choices = chosen
        } else {
            self.choices[router] = choices
        }
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

import MatrixCore

/// What a model keeps while it reads one sequence: keys and values of the tokens so far, and working memory.
///
/// A state is for one sequence at a time and one thread; `restart` begins the next sequence in the same memory.
public final class SequenceState {
    /// Tokens read so far.
    public internal(set) var position = 0
    /// Told of every input of a linear layer.
    public var observer: (any ForwardObserver)?
    /// Whether a layer is left as soon as the observer has seen all that it looks for.
    var stopsEarly = false
    var isDone: Bool { stopsEarly && observer?.hasSeenAll == true }
    let cache: KeyValueCache
    let workspace = Workspace()

    init(cache: KeyValueCache) {
        self.cache = cache
    }

    /// Forgets the sequence.
    public func restart() {
        position = 0
    }

    /// Forgets all but the first `tokens`, which the state has read, to continue them in another way.
    public func rewind(to tokens: Int) {
        precondition(tokens <= position && cache.retention == .everyLayer, "these tokens are not kept")
        position = tokens
    }
}

/// Looks into a forward pass: for moments of inputs, drift of hidden states and the like.
public protocol ForwardObserver: AnyObject {
    /// A linear layer is about to be applied to `input` (tokens × inFeatures); the view is valid during the call. A
    /// layer may be given its tokens in several parts; layers that share an input are given the same memory.
    func willApply(_ module: String, to input: MatrixView<Float>)
    /// The outputs of a linear layer are about to be added to `residual` (tokens × hidden), all tokens at once; the
    /// view is valid during the call. Not told of experts.
    func willAdd(outputsOf module: String, to residual: MatrixView<Float>)
    /// A router has chosen the experts of every token, for each the largest share first. An observer that lets one
    /// network go the ways of another puts that one's choices in their place.
    func willRoute(_ router: String, _ choices: inout [[ExpertChoice]])
    /// A transformer layer is done; `hidden` (tokens × hidden) is its output.
    func didFinish(layer: Int, hidden: MatrixView<Float>)
    /// Whether nothing more of the sequence is of interest.
    var hasSeenAll: Bool { get }
}

/// An expert that a token uses.
public struct ExpertChoice: Sendable, Equatable {
    public let expert: Int
    /// What its output is multiplied with.
    public let share: Float
}

extension ForwardObserver {
    public func willApply(_ module: String, to input: MatrixView<Float>) {}
    public func willAdd(outputsOf module: String, to residual: MatrixView<Float>) {}
    public func willRoute(_ router: String, _ choices: inout [[ExpertChoice]]) {}
    public func didFinish(layer: Int, hidden: MatrixView<Float>) {}
    public var hasSeenAll: Bool { false }
}

/// Matrices that the layers of a forward pass use in turn, so that their pages are fetched once.
final class Workspace {
    enum Slot: Int, CaseIterable {
        case hidden, normalised, fused, query, attended, projected, feedForwardInput, gate, up, fedForward
        case routed, gathered, expertOutput, logits, cosines, sines
    }

    private var buffers: [AlignedBuffer<Float>?] = Array(repeating: nil, count: Slot.allCases.count)

    /// Memory of the slot (rows × columns), undefined until written; earlier views of the slot become invalid.
    func matrix(_ slot: Slot, rows: Int, columns: Int) -> MutableMatrixView<Float> {
        let count = rows * columns
        let buffer: AlignedBuffer<Float>
        if let existing = buffers[slot.rawValue], existing.count >= count {
            buffer = existing
        } else {
            buffer = AlignedBuffer(uninitializedCount: count)
            buffers[slot.rawValue] = buffer
        }
        return MutableMatrixView(
            base: buffer.base, rows: rows, columns: columns, rowStride: columns, owner: buffer)
    }
}

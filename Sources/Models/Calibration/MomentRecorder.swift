import MatrixCore
import Statistics

/// Adds up the moments of some inputs while a model runs.
///
/// An input is looked at where its first module reads it; the other modules that share it are passed over.
public final class MomentRecorder: ForwardObserver {
    private let moments: [String: InputMoments]

    /// - Parameter moments: where the sums of each input go on.
    public init(_ moments: [LayerInput: InputMoments]) {
        self.moments = Dictionary(uniqueKeysWithValues: moments.map { ($0.key.name, $0.value) })
    }

    public func willApply(_ module: String, to input: MatrixView<Float>) {
        moments[module]?.add(input)
    }
}

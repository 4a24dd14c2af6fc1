import Checkpoints
import Models

extension Checkpoint {
    /// What to say where config.json ties the head to the embedding, and the numbers do not.
    /// - Parameter model: of this checkpoint; reading it has compared the numbers, so that where it ties they are not
    ///   read again.
    func headDoubt(of model: Model) throws -> String? {
        guard !model.description.tiesHead, case .different(let head, let embedding) = try tiedHead() else { return nil }
        return "config.json ties \(head) to \(embedding), but both are stored and differ: the stored head is used, as "
            + "by transformers 5 (older versions use the embedding); set tie_word_embeddings to what is meant"
    }
}

/// Colours for values, from dark blue to yellow: they order the same for every kind of colour vision and in print.
///
/// Source: anchors of cividis (Nuñez, Anderton and Renslow, PLOS ONE 2018), joined by straight lines.
struct ColorScale {
    /// The value of the first colour.
    let low: Double
    /// The value of the last colour.
    let high: Double

    private static let anchors: [(red: Double, green: Double, blue: Double)] = [
        (0, 34, 78), (53, 69, 108), (102, 105, 112), (148, 142, 119), (200, 184, 102), (254, 232, 56),
    ]

    /// `#rrggbb` of a value, and whether dark letters are the readable ones on it.
    func color(of value: Double) -> (fill: String, hasDarkText: Bool) {
        let share = high > low ? min(1, max(0, (value - low) / (high - low))) : 0
        let place = share * Double(Self.anchors.count - 1)
        let index = min(Int(place), Self.anchors.count - 2)
        let part = place - Double(index)
        let from = Self.anchors[index]
        let to = Self.anchors[index + 1]
        let channels = [(from.red, to.red), (from.green, to.green), (from.blue, to.blue)].map { $0 + part * ($1 - $0) }
        let digits = channels.map { channel -> String in
            let hex = String(Int(channel.rounded()), radix: 16)
            return hex.count < 2 ? "0" + hex : hex
        }
        // Perceived brightness after ITU-R BT.601.
        let brightness = 0.299 * channels[0] + 0.587 * channels[1] + 0.114 * channels[2]
        return ("#" + digits.joined(), brightness > 128)
    }
}

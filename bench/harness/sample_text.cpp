// The words behind benchmark_text(). Changing one changes every perplexity measured with them.
#include "bench/harness/sample_text.h"

namespace assay {

namespace {

constexpr std::string_view kText = R"text(The Weighing House

The town had a weighing house before it had a church. It stood at the bend of the river where the barges had to slow down anyway, a
square building of grey stone with one wide door and no windows on the side of the market, so that nobody could say afterwards that
the weigher had been looking at a friend. Inside hung the great balance. Its beam was of ash, as long as three men, and the two pans
were of copper, hammered thin and flat by a smith whose name had been forgotten and whose work had not.

Whoever wanted to sell by weight came here first. Wool came, and flax, and iron in short bars; salt came in spring when the roads
dried, and in autumn there was honey. Marta weighed all of it. She had learned the trade from her uncle, who had learned it from a
woman called the Widow Anselm, who was said to have weighed a horse, alive, on a bet, and to have been right to within a pound. Marta
had never weighed a horse. She thought it a foolish thing to do to a horse and to a balance.

"What do you want to know?" she asked every seller, and most of them laughed, because what else would they want to know? But she
waited for the answer, and she wrote it in the book. Some wanted to know how much they had. Some wanted to know whether they had been
cheated. A few, and these she liked best, wanted to know whether the thing they had made this year was better than the thing they had
made last year; and for these she took her time.

On the first morning of the frost a man came in with a sack over his shoulder and a boy behind him. The man put the sack on the pan
without a word. The boy looked at the beam as if it might fall.

"Barley," said the man. "Sixty pounds."

"Then you know already," said Marta.

"I know. The miller does not."

She let the pan settle. She did not touch the beam; she never touched it until it had stopped by itself. Then she put the weights on
the other side, the fifty, the five, the two, and stood back, and took the two away and put on a one. The beam hung level. The boy let
out his breath.

"Fifty-six," said Marta.

"It was sixty at home."

"On which scale?"

The man did not answer at once. It turned out that the scale at home was a stick with a notch in it, that the notch had been cut by
his father, and that his father had been dead for eleven years. Sticks dry out. Marta showed him how the notch wanders when the wood
loses its water, and he nodded slowly, like a man who has been told something about his father that he half knew.

"So it is less than I thought," he said.

"It is what it was. You thought more of it."

"And the miller will say fifty-five."

"Then bring him here," said Marta, "and we shall weigh it again with him looking on, and once more after that, and if it comes out the
same three times you will both have to believe it."

That was the custom of the house: once to see, twice to be sure, and the third time for whoever had not been there. In the book she
wrote the date, the frost, the barley, fifty-six, and the name of the boy, because he had watched, and a weighing that nobody watches
is only a rumour.


How a Balance Is Tested

A balance that has never been tested is furniture. The test takes a quiet room, an hour, and a set of weights that are known to be
good. Go through these steps in the order given, and write down every reading, also the ones you do not like.

1. Clean both pans. Dust has weight. So have fingerprints, though not much.
2. Let everything stand until it is as warm as the room. A beam that is warmer at one end is longer at that end.
3. With nothing on the pans, set the pointer to zero. Wait. Look again. If it moved, find out why before you go on.
4. Put the same weight on both sides. The pointer should stay where it was; if it does not, the arms are unequal, and every
   weighing so far was wrong by the same share.
5. Exchange the two weights and read again. Half the difference belongs to the weights, half the sum to the balance.
6. Add the smallest weight you have to one side. If nothing happens, that is the limit of what this balance can tell you, and no
   amount of patience will make it tell you more.
7. Repeat steps 3 to 6 at least five times. Write down the middle value and how far the others lie from it.

People skip the last step, since the first reading was so pleasing. They are the same people who come back a month later to ask why
the results have changed. Results did not change. One reading has no spread, and a number without a spread is a guess in good clothes.

Three kinds of error are worth knowing by name. A blunder is a misplaced digit, a wrong weight, a page turned too far; you find it by
doing the work twice. A drift is a slow change, such as a room that warms up during the day; you find it by measuring the first thing
again at the end. And noise is what is left when there are no blunders and no drift: it has no direction, it cannot be removed, and it
becomes smaller only with the square root of your effort. Four times the work for half of the noise! It is the fairest and the dullest
bargain in the world.


Letter from the Coast, 14 November

Dear Ines,

You ask what I do all day. I count waves. I mean this quite exactly: at 6:00, 12:00 and 18:00 I sit down in the hut, start the clock, and
make a mark for each crest that passes the post. After twenty minutes I have between 90 and 160 marks, and from their number I get the
mean period, which today was 9.4 seconds in the morning, 9.1 at noon and 10.2 in the evening. A long swell is coming from the
south-west; something must have happened out there two days ago, about 1,500 kilometres off.

The machine in the harbour does the same work, of course. It has a float, a wire and a drum of paper, and it never sleeps. But in the
first week its line showed a sea that rose by forty centimetres each night and fell again at breakfast. Nobody believed it and nobody
knew what was wrong. I climbed up to it with a lamp. The wire was of steel, the mast was of wood, and it was cold at night: that was
all. We have put in a second wire now, one that carries no float, and subtract.

I think of it often. Had I not sat in my hut making marks like a schoolboy, we would have a fine paper by now about the tides of the
night. It is not that people are better than machines, for I fell asleep on Tuesday and have a gap to show for it. It is that two ways
of measuring which have nothing in common seldom lie in the same direction.

Send me tea, please, and the other pair of gloves. The tea matters more.

Yours,
Jon

P.S. The gap is from 12:04 to 12:31. I have left it empty. I could have drawn a line through it and no one would have known.


Bread, for Two Days

For the dough you need 500 g of flour, 350 g of water, 10 g of salt and 3 g of dry yeast; a fifth of the flour may be rye. Mix flour and
water and leave them alone for half an hour. This is the step that does the most for the least work. Add salt and yeast, knead for
eight minutes, and put the bowl in a cool place, 5 to 8 degrees, until the next day.

Shape the loaf in the morning. It should be smooth and tight, like a drum. Let it rise for ninety minutes at 24 degrees (or two hours at
20), heat the oven to 250, and bake with a little steam for fifteen minutes, then at 210 for half an hour more. Knock on the bottom: if it
sounds hollow it is done. Better still, use a thermometer: 96 degrees in the middle. Your ear is good, but it has baked fewer loaves
than you think.

If the crumb is dense, the dough was too cold or too young. If it is full of tunnels, it was too warm or too old. If you cannot tell,
change one thing next time, only one, and write it on the bag of flour.


A Conversation about Averages

"My car does six litres on a hundred kilometres," said Paul.

"On average?" asked Lena.

"Naturally on average."

"And today?"

"Today it was the mountains. Eleven."

"So when you say six, you mean a day that you did not have."

"I mean all days together."

"Then say so! Suppose I drive one hour at 50 and one hour at 100. What is my average?"

"Seventy-five."

"And if I drive 100 kilometres at 50 and then 100 kilometres at 100?"

Paul opened his mouth and closed it. He took a pencil. Two hours for the first part, one for the second: 200 kilometres in three hours.
"Sixty-six point seven," he said. "That is odd. Why is it less?"

"Because you spend more time being slow. Slow things always take up more of the day than you plan for. It is the same with queues, with
trains, and with my brother."

"Your brother has no average."

"He has a median. Half the time he arrives before the soup."

They drove on for some time in silence. Rain began to fall. "What would you report, then," Paul asked at last, "if you could give one number
only?"

"The number, how many times I measured it, and how far apart the results were."

"That is three numbers."

"Yes," said Lena. "That is the point."


From the Manual of a Small Computer

The machine reads a program from memory, one instruction after another, and does what it says. Each instruction takes a known number of
ticks, unless it has to wait for memory, and it nearly always has to wait for memory. That is the secret of most slow programs: they do
not compute, they fetch.

Think of a library. The reader can look up a word on the open page in a second. To take another book from the desk needs three
seconds. A book on the shelf behind costs a minute, and one from the cellar half an hour, because somebody has to go down with a lamp. A
clever reader arranges the work so that everything which belongs together lies on the same page. A reader who is merely fast runs up and
down the stairs.

Here is a routine that adds up a table. It is written twice, and the two differ in one line only.

    def sum_by_row(table):
        total = 0
        for row in table:
            for value in row:
                total = total + value
        return total

    def sum_by_column(table):
        total = 0
        for column in range(len(table[0])):
            for row in table:
                total = total + row[column]
        return total

Both give the same result; for a table of 4096 rows and 4096 columns the second may take ten times as long. Measure it. Do not believe
this manual, which was written on another machine, in another year, by somebody who was in a hurry.

Error messages and what they mean:

    E01  no paper                 load paper, press the green key
    E02  number too large         the result does not fit; divide first, then multiply
    E07  cannot read the tape     clean the head; if it happens again, the tape is worn
    E13  nothing to compare with  measure the old program before you measure the new one
    E99  should not happen        it happened; please write down what you did and send it to us


The Clock on the Town Hall

For three hundred years the clock on the town hall had been four minutes fast, and everybody knew. Trains did not matter, for there were
none; the school opened when the teacher came, and the teacher lived below the clock. People added or took away the four minutes
without thinking, as they stepped over the broken stair in their own house.

Then a watchmaker moved into the square. He was a patient man with clean hands, and the four minutes hurt him like a stone in the shoe. He
wrote to the council. He offered to do it for nothing. He climbed the tower with two apprentices and a basket of tools, stayed up there
from Friday until Sunday, and when he came down the clock was right to the second.

On Monday everyone was late. The baker opened after the school had begun; the mail coach left without the mail; two weddings met in front of
the church, and neither would give way. An old woman stood in the middle of the square, looked up and shook her head. "It was a good
clock," she said. "You could rely on it."

The watchmaker heard of this and thought about it for a week. Then he had a small plate made, of brass, and fixed it below the dial where
all could read it. It said: This clock is right since the ninth of May. Before that day take off four minutes. And underneath, in smaller
letters: Tested every first Sunday against the stars; the error is written down in the book at the door.

People came to read the book. At first they came to find fault. Later they came because it was pleasant to see the column of small
figures, two seconds, one second, nothing, one second again, all in the same hand, with the date and the weather beside each. When the
watchmaker died, which was many years after, they found that he had entered even the last Sunday, on which he had been too ill to climb.
"Not tested," it said. Nothing else. It was, the teacher told the children, the most honest line in the whole book.


Questions and Answers

Q: How far is it from the earth to the moon?
A: About 384,400 kilometres on average; it varies between roughly 363,000 and 406,000, since the path is an ellipse.

Q: What is the sum of the whole numbers from 1 to 100?
A: 5050. Pair the first with the last, the second with the last but one, and so on: fifty pairs of 101.

Q: Why does ice float?
A: Because water grows when it freezes. A litre of water makes about 1.09 litres of ice, so the ice is lighter than the water it pushes aside.

Q: Which weighs more, a kilogram of feathers or a kilogram of lead?
A: On a balance in air, neither. But the feathers take up more room and the air carries a little of them, so if the balance says that both are
equal, there is in truth slightly more of the feathers. Marta would have known that. She would have asked first what you wanted to know.
)text";

}  // namespace

std::string_view benchmark_text() { return kText; }

}  // namespace assay
